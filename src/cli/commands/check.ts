import { Option } from "commander";
import { defineCommand } from "../command.ts";

export const check = defineCommand<[], { database?: string }>({
  name: "check",
  group: "Start",
  summary: "Check config, migrations and handlers; change nothing",
  takesFolder: "The inbox folder",
  options: [new Option("--database <path>", "Check this database, not the one that the config names")],
  async run({ flags, folder }) {
    const { runCheck } = await import("../check.ts");
    return runCheck(folder, flags);
  },
});
