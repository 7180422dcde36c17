import { Argument, Option } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ImportFlags } from "../import.ts";
import { look } from "./look-options.ts";

export const importEvents = defineCommand<[string], ImportFlags>({
  name: "import",
  group: "Manage",
  summary: "Mark ids as applied elsewhere",
  description:
    "Record events that another endpoint has applied, so that their retries are duplicates here. No handler runs. The file has one id per line, or is CSV whose header names event_id and optionally type and received_at, or has one JSON object with these keys per line. It can be repeated.",
  arguments: [new Argument("<file>", "The file, or - for standard input").argParser(nonEmpty)],
  options: [
    new Option("--source <name>", "The source that delivers these events")
      .argParser(nonEmpty)
      .makeOptionMandatory(),
    new Option("--type <type>", "The type of events that name none").argParser(nonEmpty),
    new Option("--reason <text>", "Why; kept in the audit list").argParser(nonEmpty),
    new Option("--dry-run", "Show what would be recorded, and change nothing"),
    look.json,
    look.database,
  ],
  async run({ args: [file], flags, folder }) {
    const { runImport } = await import("../import.ts");
    return runImport(file, folder, flags);
  },
});
