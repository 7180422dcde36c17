import { Argument, Option } from "commander";
import { count, ids, momentOrAgo, nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { SteerFlags } from "../steer.ts";
import { look } from "./look-options.ts";
import { message } from "./message-options.ts";
import { steer } from "./steer-options.ts";

export const resend = defineCommand<[string[] | undefined], SteerFlags>({
  name: "resend",
  group: "Act",
  summary: "Send messages again",
  description:
    "Send messages again: those with these ids, or those that match, by default the dead ones. With --to, send stored events to a destination instead, by event ids or by filters, without running their handlers. It needs a running serve.",
  arguments: [new Argument("[ids...]", "Only these messages; with --to, only these events").argParser(ids)],
  options: [
    new Option("--to <destination>", "Send events to this destination").argParser(nonEmpty),
    message.destination,
    message.state,
    new Option(
      "--source <name>",
      "Only messages about events of this source; with --to, only its events",
    ).argParser(nonEmpty),
    new Option(
      "--type <type>",
      "Only messages about events of this type, or with --to such events; a * at the end matches anything",
    ),
    new Option("--outcome <outcome>", "With --to: events with this outcome (default: processed)").choices([
      "processed",
      "stale",
      "discarded",
    ]),
    new Option(
      "--since <time>",
      "Only messages written, or with --to events received, at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
    ).argParser(momentOrAgo),
    new Option("--until <time>", "Only those before this").argParser(momentOrAgo),
    new Option(
      "--search <text>",
      "With --to: only the event with this id, or events whose body contains this text",
    ).argParser(nonEmpty),
    new Option("--limit <n>", "At most this many").argParser(count),
    steer.dryRun,
    steer.stop,
    look.json,
    look.database,
  ],
  async run({ args: [given = []], flags, folder }) {
    if (flags.stop === true) {
      const { runStop } = await import("../stop-jobs.ts");
      return runStop("resend", given, folder, flags);
    }
    const { runSteer } = await import("../steer.ts");
    return runSteer("resend", given, folder, flags);
  },
});
