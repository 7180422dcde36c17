import { Option } from "commander";
import { count } from "../arguments.ts";
import type { CheckFlags } from "../check.ts";
import { defineCommand } from "../command.ts";

export const check = defineCommand<[], CheckFlags>({
  name: "check",
  group: "Start",
  summary: "Check config, migrations and handlers; change nothing",
  takesFolder: "The inbox folder",
  options: [
    new Option("--database <path>", "Check this database, not the one that the config names"),
    new Option(
      "--events <n>",
      "Also try each handler on its newest n stored events, and roll back. A handler that fails is a problem",
    ).argParser(count),
    new Option("--json", "Print each problem, warning and note as a line of JSON on standard output"),
  ],
  async run({ flags, folder }) {
    const { runCheck } = await import("../check.ts");
    return runCheck(folder, flags);
  },
});
