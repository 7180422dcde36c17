import { defineCommand } from "../command.ts";

export const demo = defineCommand<[], object>({
  name: "demo",
  group: "Start",
  summary: "See why retries credit twice",
  description:
    "See why retries credit twice: send the same retries to a tutorial's receiver and to hookonce.",
  async run() {
    const { runDemo } = await import("../demo.ts");
    return runDemo();
  },
});
