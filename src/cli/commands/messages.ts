import { Argument } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { MessagesFlags } from "../messages.ts";
import { look } from "./look-options.ts";
import { message } from "./message-options.ts";

export const messages = defineCommand<[string | undefined], MessagesFlags>({
  name: "messages",
  group: "Look",
  summary: "List messages, or show one",
  description:
    "List messages, the newest first, or show one with its attempts and what the receiver answered. A message is what hookonce sends to a destination. If serve is running, the command asks it; otherwise it only reads the database.",
  arguments: [new Argument("[id]", "Show this message").argParser(nonEmpty)],
  options: [
    message.destination,
    message.state,
    message.source,
    message.type,
    message.since,
    message.until,
    look.limit,
    look.json,
    look.database,
  ],
  async run({ args: [id], flags, folder }) {
    const { runMessages } = await import("../messages.ts");
    return runMessages(id, folder, flags);
  },
});
