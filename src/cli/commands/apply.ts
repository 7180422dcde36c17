import { Argument, Option } from "commander";
import type { ApplyFlags } from "../apply.ts";
import { count, ids, momentOrAgo, nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { look } from "./look-options.ts";
import { steer } from "./steer-options.ts";

export const apply = defineCommand<[string[] | undefined], Omit<ApplyFlags, "folder">>({
  name: "apply",
  group: "Act",
  summary: "Run what is owed and can run now",
  description:
    "Run what is owed and can run now: unhandled events that now have a handler, and failed events. Safe to interrupt and to repeat: each event is applied once.",
  arguments: [new Argument("[ids...]", "Only these events").argParser(ids)],
  options: [
    look.source,
    look.type,
    new Option("--outcome <outcome>", "Only events with this outcome").choices(["unhandled", "failed"]),
    new Option(
      "--since <time>",
      "Only events received at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
    ).argParser(momentOrAgo),
    look.until,
    look.search,
    new Option("--limit <n>", "Run at most this many events").argParser(count),
    new Option("--reason <text>", "Why a discarded event should run after all").argParser(nonEmpty),
    new Option("--dry-run", "Only show what would run"),
    steer.stop,
    new Option("--json", "Print one JSON object per line"),
    new Option("--database <path>", "The database to use, in place of the one in the config"),
  ],
  async run({ args: [ids = []], flags, folder }) {
    if (flags.stop === true) {
      const { runStop } = await import("../stop-jobs.ts");
      return runStop("apply", ids, folder, flags);
    }
    const { runApply } = await import("../apply.ts");
    return runApply(ids, { ...flags, folder });
  },
});
