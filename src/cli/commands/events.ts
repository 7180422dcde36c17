import { Option } from "commander";
import { defineCommand } from "../command.ts";
import type { EventsFlags } from "../events.ts";
import { look } from "./look-options.ts";

export const events = defineCommand<[], EventsFlags>({
  name: "events",
  group: "Look",
  summary: "List events; --follow shows them live",
  description:
    "List events, newest first. If serve is running, the command asks it; otherwise it only reads the database. A search for text looks at the newest events first and can be stopped.",
  options: [
    look.source,
    look.type,
    look.outcome,
    look.since,
    look.until,
    look.search,
    look.limit,
    new Option("--follow", "Show events as they arrive and as their outcome changes, until Ctrl+C"),
    look.json,
    look.database,
  ],
  async run({ flags, folder }) {
    const { runEvents } = await import("../events.ts");
    return runEvents(folder, flags);
  },
});
