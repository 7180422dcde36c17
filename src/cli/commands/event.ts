import { Argument } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { EventFlags } from "../event.ts";
import { look } from "./look-options.ts";

export const event = defineCommand<[string], EventFlags>({
  name: "event",
  group: "Look",
  summary: "One event: payload, deliveries, handler, messages",
  description:
    "Show everything that is stored about one event: what became of it, its deliveries, why it failed, its messages, its headers and its payload.",
  arguments: [new Argument("<id>", "The event id").argParser(nonEmpty)],
  options: [look.source, look.json, look.database],
  async run({ args: [id], flags, folder }) {
    const { runEvent } = await import("../event.ts");
    return runEvent(id, folder, flags);
  },
});
