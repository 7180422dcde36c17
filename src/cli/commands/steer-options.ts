import { Option } from "commander";
import { count, momentOrAgo, nonEmpty } from "../arguments.ts";

/** Options of the commands that change many events and need a reason. */
export const steer = {
  reason: new Option("--reason <text>", "Why; kept with the event and in the audit list").argParser(nonEmpty),
  outcome: new Option("--outcome <outcome>", "Only events with this outcome").choices([
    "unhandled",
    "failed",
    "held",
  ]),
  since: new Option(
    "--since <time>",
    "Only events received at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
  ).argParser(momentOrAgo),
  limit: new Option("--limit <n>", "At most this many events").argParser(count),
  evenStale: new Option(
    "--even-stale",
    "Also run stale events, although newer ones were applied before them",
  ),
  yes: new Option("--yes", "Do not ask before changing more than one event"),
  stop: new Option("--stop", "Stop the running job, even if it was started elsewhere"),
  dryRun: new Option("--dry-run", "Only show what would be done"),
} as const;
