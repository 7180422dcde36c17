import { Option } from "commander";
import { count, nonEmpty } from "../arguments.ts";
import type { CheckFlags } from "../check.ts";
import { defineCommand } from "../command.ts";

export const check = defineCommand<[], CheckFlags & { backup?: string }>({
  name: "check",
  group: "Start",
  summary: "Check config, migrations and handlers; change nothing",
  description:
    "Check config, migrations and handlers, and change nothing. Each handler also runs on a made-up event, and is rolled back. Exits with 1 if there is a problem: serve would not start, or a handler cannot run or, with --events, fails on a stored event. A handler that fails on a made-up event is a warning, because a real event may have what it lacks.",
  takesFolder: "The inbox folder",
  options: [
    new Option("--database <path>", "Check this database, not the one that the config names"),
    new Option(
      "--events <n>",
      "Also try each handler on its newest n stored events, and roll back. A handler that fails is a problem",
    ).argParser(count),
    new Option(
      "--backup <file>",
      "Prove that a backup starts: unpack it into a temporary folder, and open it there. This loads its TypeScript files, so check only backups that you trust",
    )
      .argParser(nonEmpty)
      .conflicts(["database", "events"]),
    new Option("--json", "Print each problem, warning and note as a line of JSON on standard output"),
  ],
  async run({ flags, folder }) {
    if (flags.backup !== undefined) {
      const { runCheckBackup } = await import("../check-backup.ts");
      return runCheckBackup(flags.backup, flags);
    }
    const { runCheck } = await import("../check.ts");
    return runCheck(folder, flags);
  },
});
