import { MAX_SETTLED, type EventSource, type Imported, type ImportedEvent } from "../engines/engine.ts";
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
export interface ImportCounts extends Imported {
  /** How many of them, of each kind, were received before their provider's retries may go back to. */
  readonly old: number;
}

/**
 * How many are written at once: 5 ms, and 20 ms while no deliveries come. Random ids or times that are not in the
 * order of the ids change fewer pages together: beside a million others, 1.4 kB for each in place of 3.9.
 */
const PIECE = 1000;
const LARGE_PIECE = 5000;

/** @throws HookonceError `unknown_source`; what the queue refused */
export async function importEvents(
  { queue, sources, clock, reader }: Pick<JobInbox, "queue" | "sources" | "clock" | "reader">,
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
  const counted = async (piece: readonly ImportedEvent[]): Promise<Imported> => {
    const ids = [...new Set(piece.map(({ id }) => id))];
    const { known, owed, settled } = await reader.countKnown(source.name, ids);
    const fresh = ids.length - known - owed;
    return { fresh, known: piece.length - fresh - owed, owed, settled };
  };
  /** @returns undefined if it was stopped while it waited for its turn */
  const write = (piece: readonly ImportedEvent[]): Promise<Imported | undefined> =>
    queue.write({ kind: "import", source, events: piece, at: clock() }, signal).catch((error: unknown) => {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    });
  let counts: ImportCounts = { fresh: 0, known: 0, owed: 0, old: 0, settled: [] };
  let received: number | undefined;
  for (let from = 0; from < events.length && !signal.aborted;) {
    const isQuiet = queue.received === received;
    received = queue.received;
    const piece = events.slice(from, from + (isQuiet && !dryRun ? LARGE_PIECE : PIECE));
    const done = dryRun ? await counted(piece) : await write(piece);
    if (done === undefined) return;
    const count = done.fresh + done.known + done.owed;
    counts = {
      fresh: counts.fresh + done.fresh,
      known: counts.known + done.known,
      owed: counts.owed + done.owed,
      old: counts.old + oldOf(piece.slice(0, count), source, clock()),
      settled: [...counts.settled, ...done.settled].slice(0, MAX_SETTLED),
    };
    from += count;
    onProgress(counts);
  }
}

function oldOf(events: readonly ImportedEvent[], { retryWindowMs }: EventSource, now: number): number {
  return events.reduce((sum, { at }) => sum + (at < now - retryWindowMs ? 1 : 0), 0);
}
