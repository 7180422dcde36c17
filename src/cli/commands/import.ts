import { Argument, Option } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ImportFlags } from "../import.ts";
import type { MoveFlags } from "../move.ts";
import { UsageError } from "../usage-error.ts";
import { look } from "./look-options.ts";

type Flags = Partial<ImportFlags> & MoveFlags & { readonly inbox?: string };

export const importEvents = defineCommand<[string | undefined], Flags>({
  name: "import",
  group: "Manage",
  summary: "Mark ids as applied elsewhere",
  description:
    "Record events that another endpoint has applied, so that their retries are duplicates here. No handler runs. The file has one id per line, or is CSV whose header names event_id and optionally type and received_at, or has one JSON object with these keys per line. It can be repeated. With --inbox, move everything that hookonce has stored from an inbox on SQLite to this one on PostgreSQL: stop hookonce serve on both first. An interrupted move goes on when the command is repeated. Your own tables stay where they are.",
  arguments: [new Argument("[file]", "The file, or - for standard input").argParser(nonEmpty)],
  options: [
    new Option("--source <name>", "The source that delivers these events").argParser(nonEmpty),
    new Option("--type <type>", "The type of events that name none").argParser(nonEmpty),
    new Option("--reason <text>", "Why; kept in the audit list").argParser(nonEmpty),
    new Option("--inbox <path>", "Move this inbox, a folder or its database file, to PostgreSQL").argParser(
      nonEmpty,
    ),
    new Option("--dry-run", "Show what would be recorded, and change nothing"),
    look.json,
    look.database,
  ],
  async run({ args: [file], flags: { inbox, ...flags }, folder }) {
    if (inbox !== undefined) {
      refuseBeside(file, flags);
      const { runMove } = await import("../move.ts");
      return runMove(inbox, folder, flags);
    }
    const { source } = flags;
    if (file === undefined)
      throw new UsageError("name the file to import, or the inbox to move with --inbox");
    if (source === undefined)
      throw new UsageError("--source is missing: name the source that delivers these events");
    const { runImport } = await import("../import.ts");
    return runImport(file, folder, { ...flags, source });
  },
});

function refuseBeside(file: string | undefined, flags: Flags): void {
  const options = (["source", "type", "reason"] as const).filter((name) => flags[name] !== undefined);
  const [beside] = [
    ...(file === undefined ? [] : [`the file ${file}`]),
    ...options.map((name) => `--${name}`),
  ];
  if (beside !== undefined)
    throw new UsageError(`${beside} cannot be used with --inbox, which moves all that is stored`);
}
