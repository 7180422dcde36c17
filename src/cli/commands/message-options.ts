import { Option } from "commander";
import { MESSAGE_STATES } from "../../engines/outbox.ts";
import { momentOrAgo, nonEmpty } from "../arguments.ts";

/** Options of the commands that are about messages. */
export const message = {
  destination: new Option("--destination <name>", "Only messages to this destination").argParser(nonEmpty),
  state: new Option("--state <state>", "Only messages in this state").choices(MESSAGE_STATES),
  source: new Option("--source <name>", "Only messages about events of this source").argParser(nonEmpty),
  type: new Option(
    "--type <type>",
    "Only messages about events of this type; a * at the end matches anything",
  ),
  since: new Option(
    "--since <time>",
    "Only messages written at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
  ).argParser(momentOrAgo),
  until: new Option("--until <time>", "Only messages written before this").argParser(momentOrAgo),
} as const;
