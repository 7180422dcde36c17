import { Option } from "commander";
import { EVENT_OUTCOMES } from "../../http/admin/event-outcomes.ts";
import { count, momentOrAgo, nonEmpty } from "../arguments.ts";

/** Options that the commands that look share. */
export const look = {
  source: new Option("--source <name>", "Only events of this source").argParser(nonEmpty),
  type: new Option(
    "--type <type>",
    "Only events of this type; a * at the end matches anything, '' events without a type",
  ),
  outcome: new Option("--outcome <outcome>", "Only events with this outcome").choices(EVENT_OUTCOMES),
  since: new Option(
    "--since <time>",
    "Only events received at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
  ).argParser(momentOrAgo),
  until: new Option("--until <time>", "Only events received before this").argParser(momentOrAgo),
  search: new Option(
    "--search <text>",
    "Only the event with this id, or events whose body contains this text",
  ).argParser(nonEmpty),
  limit: new Option("--limit <n>", "Show at most this many (default: 50)").argParser(count),
  json: new Option("--json", "Print one JSON object per line"),
  database: new Option("--database <path>", "The database to use, in place of the one in the config"),
} as const;
