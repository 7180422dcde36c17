import type { Handlers } from "../engines/engine.ts";
import type { Newest, Reader } from "../engines/reader.ts";
import type { Problem } from "../errors.ts";
import type { HandlersRead } from "../handlers/load.ts";
import { typesOf } from "../handlers/look-up.ts";
import { lookUp, nearestPath } from "../handlers/payload-paths.ts";
import { pathsRead } from "../handlers/sql-paths.ts";
import { counted } from "../logging/counted.ts";
import type { Source } from "../providers/source.ts";

/** How many events of each type are looked at, and of all types that a handler runs. The newest come first. */
const MAX_OF_TYPE = 10;
const MAX_EVENTS = 50;

/** In bytes. Parsing them takes 0.1 s. */
const MAX_BYTES = 8 * 1024 * 1024;

/** How long the events of one handler are searched, in milliseconds. */
const MAX_SEARCH_MS = 500;

export interface StoredInbox {
  readonly reader: Pick<Reader, "events" | "event">;
  /** By the name under which its events are stored. */
  readonly sources: ReadonlyMap<string, Source>;
  readonly table: Handlers;
}

export interface ComparedPaths {
  readonly warnings: readonly Problem[];
  /** The files of the handlers whose paths were compared with stored events. */
  readonly compared: ReadonlySet<string>;
}

/** Warns of JSON paths in SQL handlers that none of the newest stored events has. */
export async function warnOfMissingPaths(
  { code: handlers }: HandlersRead,
  inbox: StoredInbox,
): Promise<ComparedPaths> {
  const warnings: Problem[] = [];
  const compared = new Set<string>();
  for (const { source: folder, key, code } of handlers) {
    const reads = code.language === "sql" ? pathsRead(code.text) : [];
    if (reads.length === 0) continue;
    const samples = await samplesFor({ folder, key, file: code.file }, inbox);
    if (samples.length === 0) continue;
    compared.add(code.file);
    const types = [...new Set(samples.map(({ type }) => type))].slice(0, 3).join(", ");
    const found = new Set<string>();
    for (const { of, read, line, steps } of reads) {
      const values = samples.map((sample) => sample[of]);
      const isMissing = values.every((value) => lookUp(value, steps) === "missing");
      if (!isMissing || found.has(read)) continue;
      found.add(read);
      const meant = nearestPath(values, steps);
      const remedy = meant === undefined ? "" : `. Did you mean ${meant}?`;
      const events = `the newest ${counted(samples.length, "stored event")} (${types || "without a type"})`;
      const message = `${read.replaceAll(/\s+/g, " ")} is in none of ${events}${remedy}`;
      warnings.push({ file: code.file, line, message });
    }
  }
  return { warnings, compared };
}

interface Sample {
  readonly type: string;
  readonly payload: unknown;
  readonly headers: unknown;
}

/** Stored events that run this handler. */
async function samplesFor(
  { folder, key, file }: { readonly folder: string; readonly key: string; readonly file: string },
  { reader, sources, table }: StoredInbox,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const ofType = new Map<string, number>();
  const until = performance.now() + MAX_SEARCH_MS;
  let bytes = 0;
  for (const [name, source] of sources) {
    if (source.handlersOf !== folder) continue;
    let after: Newest | undefined;
    do {
      const page = await reader.events({ source: name, type: typesOf(key) }, after, 500);
      for (const { eventId, type } of page.items) {
        const count = ofType.get(type) ?? 0;
        if (samples.length >= MAX_EVENTS || bytes > MAX_BYTES) return samples;
        if (count >= MAX_OF_TYPE || table.for(folder, type)?.file !== file) continue;
        const stored = (await reader.event(name, eventId))?.stored ?? null;
        if (stored === null) continue;
        const json = stored.element
          ? new TextDecoder().decode(stored.body)
          : source.payloadOf(stored, eventId)?.json;
        if (typeof json !== "string") continue;
        bytes += json.length;
        ofType.set(type, count + 1);
        samples.push({ type, payload: JSON.parse(json), headers: stored.headers });
      }
      after = page.next;
    } while (after !== undefined && performance.now() < until);
  }
  return samples;
}
