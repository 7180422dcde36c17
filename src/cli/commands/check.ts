import { Option } from "commander";
import { defineCommand } from "../command.ts";

export const check = defineCommand<[], { database?: string; json?: boolean }>({
  name: "check",
  group: "Start",
  summary: "Check config, migrations and handlers; change nothing",
  takesFolder: "The inbox folder",
  options: [
    new Option("--database <path>", "Check this database, not the one that the config names"),
    new Option(
      "--json",
      "Print each problem, warning and note as a JSON object on a line of standard output",
    ),
  ],
  async run({ flags, folder }) {
    const { runCheck } = await import("../check.ts");
    return runCheck(folder, flags);
  },
});
