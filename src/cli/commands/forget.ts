import { Argument, Option } from "commander";
import { ids, nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ForgetFlags } from "../forget.ts";
import { look } from "./look-options.ts";
import { steer } from "./steer-options.ts";

export const forget = defineCommand<[string[] | undefined], ForgetFlags>({
  name: "forget",
  group: "Act",
  summary: "Erase stored payloads; ids stay",
  description:
    "Erase what is stored of events: bodies, headers, errors, replies, and their messages with answers. With --match, of everything that contains a text. Ids, types, times and outcomes stay, so a provider's retry is a duplicate and stores nothing. What is erased cannot be brought back. It needs a reason and a running serve.",
  arguments: [new Argument("[ids...]", "Only these events").argParser(ids)],
  options: [
    new Option(
      "--match <text>",
      "Everything that contains this text; with -, the text is read from standard input, so that it is not in the history of your shell",
    ).argParser(nonEmpty),
    look.source,
    look.type,
    look.outcome,
    steer.since,
    look.until,
    new Option("--owed", "Also events that are owed; they become discarded"),
    steer.reason,
    steer.yes,
    steer.dryRun,
    steer.stop,
    look.json,
    look.database,
  ],
  async run({ args: [given = []], flags, folder }) {
    if (flags.stop === true) {
      const { runStop } = await import("../stop-jobs.ts");
      return runStop("forget", given, folder, flags);
    }
    const { runForget } = await import("../forget.ts");
    return runForget(given, folder, flags);
  },
});
