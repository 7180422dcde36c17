import type { Imported, ImportedEvent } from "../engines/engine.ts";
import { HookonceError } from "../errors.ts";
import type { JobInbox } from "./event-jobs.ts";

/** Records events as applied elsewhere. */
export interface ImportRequest {
  readonly action: "import";
  readonly source: string;
  readonly events: readonly ImportedEvent[];
  readonly reason?: string | undefined;
  readonly dryRun: boolean;
}

/** How many of the ids were new, already known, or owed here until now. */
export type ImportCounts = Imported;

/** How many are written at once: 3 ms. */
const PIECE = 1000;

/** @throws HookonceError `unknown_source`; what the queue refused */
export async function importEvents(
  { queue, sources, clock }: Pick<JobInbox, "queue" | "sources" | "clock">,
  { source: name, events, dryRun }: ImportRequest,
  signal: AbortSignal,
  onProgress: (counts: ImportCounts) => void,
): Promise<void> {
  const source = sources.get(name);
  if (source === undefined)
    throw new HookonceError(
      "unknown_source",
      `There is no source "${name}" in hookonce.toml. Its sources are ${[...sources.keys()].join(", ")}.`,
    );
  let counts: ImportCounts = { fresh: 0, known: 0, owed: 0 };
  if (dryRun) throw new HookonceError("invalid_request", "An import has no dry run, but it can be repeated.");
  for (let from = 0; from < events.length && !signal.aborted; from += PIECE) {
    const piece = events.slice(from, from + PIECE);
    const { fresh, known, owed } = await queue.write(
      { kind: "import", source, events: piece, at: clock() },
      signal,
    );
    counts = { fresh: counts.fresh + fresh, known: counts.known + known, owed: counts.owed + owed };
    onProgress(counts);
  }
}
