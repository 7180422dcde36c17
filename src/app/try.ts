import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { nearest } from "../config/nearest.ts";
import type { Config } from "../config/load.ts";
import type { ListedEvent, Newest, Reader } from "../engines/reader.ts";
import { payloadRemoved } from "../engines/retention.ts";
import { HookonceError } from "../errors.ts";
import { findHandlers, type HandlerFile } from "../handlers/find.ts";
import { lookUp, typesOf } from "../handlers/look-up.ts";
import type { TryJson } from "../http/admin/try-shapes.ts";
import type { Source } from "../providers/source.ts";
import { EMPTY } from "./empty-reader.ts";
import { byStoredName } from "./source-rules.ts";
import { createSources } from "./sources.ts";
import { storeOf } from "./store.ts";
import { runTries, type TriesOptions, type Try } from "./tries.ts";

/** What to try. */
export interface TryRequest {
  /** Its path below the inbox folder; by default the handler that the event runs. */
  readonly handler?: string | undefined;
  readonly source?: string | undefined;
  readonly on:
    | { readonly from: "stored"; readonly eventId: string }
    /** The newest stored events that the handler would run. */
    | { readonly from: "last"; readonly count: number }
    | { readonly from: "sample"; readonly type: string }
    /** A body in base64. */
    | { readonly from: "data"; readonly body: string; readonly type?: string | undefined }
    /** The newest stored event, else the sample. */
    | { readonly from: "any" };
}

export interface TryPlan {
  readonly tries: readonly Try[];
  readonly notes: readonly string[];
}

type Pace = Pick<RunOptions, "signal" | "rest">;

interface RunOptions extends Pick<TriesOptions, "signal" | "command" | "maxMs"> {
  /** How many times as long as it reads a search rests, so that a serve goes on. */
  readonly rest?: number;
}

/**
 * Tries a handler, as its file is now, and rolls back.
 *
 * @throws HookonceError `unknown_handler`, `unknown_source`, `unknown_event`, `ambiguous_event`,
 *   `nothing_to_try`
 */
export async function tryHandler(
  config: Config,
  request: TryRequest,
  options: RunOptions = {},
): Promise<TryJson> {
  const { inboxFolder: folder, database } = config;
  const { tries, notes } = await planTry(config, request, options);
  const { databaseBytes } = await (await storeOf(database)).diskUse();
  const place = databaseBytes === 0 ? "new" : "live";
  const { tried, why } = await runTries({ folder, database, place, tries, ...options });
  return { items: tried, notes, why: why ?? null };
}

async function planTry(config: Config, request: TryRequest, pace: Pace): Promise<TryPlan> {
  const { on } = request;
  return inInbox(config, (inbox) =>
    on.from === "stored" ? planStored(inbox, request, on.eventId) : planOthers(inbox, request, on, pace),
  );
}

/** Tries of these handlers on the newest stored events of each. */
export function triesOfLast(config: Config, handlers: readonly string[], count: number): Promise<Try[]> {
  return inInbox(config, async (inbox) => {
    const tries: Try[] = [];
    for (const file of inbox.files.filter((one) => handlers.includes(one.file))) {
      const { events } = await lastEvents(inbox, file, sourcesFor(inbox, file, undefined), count);
      tries.push(...events.map((event) => ({ file: file.file, event: storedEvent(event) })));
    }
    return tries;
  });
}

async function inInbox<Read>(config: Config, read: (inbox: Inbox) => Promise<Read>): Promise<Read> {
  const { inboxFolder: folder, database } = config;
  const { sources } = createSources(config.sources, Date.now, undefined, false);
  const folders = [...sources.values()].map(({ handlersOf: of }) => of);
  const { files } = findHandlers(folder, folders);
  const reader = await (await storeOf(database)).openForReading();
  try {
    return await read({
      folder,
      files,
      table: new Map(files.map((file) => [`${file.source}/${file.key}`, file])),
      sources,
      stored: byStoredName(sources, config),
      reader: reader ?? EMPTY,
    });
  } finally {
    reader?.close();
  }
}

interface Inbox {
  readonly folder: string;
  readonly files: readonly HandlerFile[];
  /** The same by folder and key. */
  readonly table: ReadonlyMap<string, HandlerFile>;
  readonly sources: ReadonlyMap<string, Source>;
  /** By the name under which its events are stored. */
  readonly stored: ReadonlyMap<string, Source>;
  readonly reader: Reader;
}

async function planStored(inbox: Inbox, request: TryRequest, eventId: string): Promise<TryPlan> {
  const { stored, reader } = inbox;
  const named = request.handler === undefined ? undefined : fileOf(inbox, request.handler);
  if (request.source !== undefined && !stored.has(request.source))
    throw unknownSource(request.source, stored);
  const names = request.source === undefined ? [...stored.keys()] : [request.source];
  const found = await reader.find(eventId, names);
  // An event of another source has the same id, but not the same handlers.
  const own = found.filter(({ source }) => named === undefined || runs(stored.get(source), named));
  const [event, other] = own.length === 0 ? found : own;
  if (event === undefined) {
    const where = request.source === undefined ? "" : ` in source "${request.source}"`;
    throw new HookonceError("unknown_event", `There is no event with the id "${eventId}"${where}.`);
  }
  if (other !== undefined) {
    const list = found.map((one) => `${one.source} (${one.type || "no type"}, ${one.outcome})`).join(", ");
    const message = `Several sources have an event with the id "${eventId}": ${list}. Add --source NAME.`;
    throw new HookonceError("ambiguous_event", message);
  }
  // An event that failed or is unhandled has its payload. Of one that was ignored, it was never stored.
  const detail = await reader.event(event.source, eventId);
  if (detail?.isRemoved === true) throw payloadRemoved(eventId);
  const source = stored.get(event.source) as Source;
  const usual = handlerFor(inbox, source, event.type);
  const file = named ?? usual;
  if (file === null) {
    const what = event.type === "" ? "events without a type" : `the type "${event.type}"`;
    const message = `There is no handler for ${what} in handlers/${source.handlersOf}/.`;
    throw new HookonceError("unknown_handler", message);
  }
  const notes = [
    ...(usual?.file === file.file
      ? []
      : [`${eventId} does not run ${file.file}: it runs ${usual?.file ?? "no handler"}.`]),
    ...(event.outcome === "processed" ? [ALREADY] : []),
    ...(event.outcome === "stale"
      ? ["The event is stale, because a newer one was applied. Only a try runs it."]
      : []),
  ];
  return { tries: [{ file: file.file, event: storedEvent({ ...event, eventId }) }], notes };
}

const ALREADY =
  "The event was applied before, so your tables may already have the rows that its handler wrote.";

async function planOthers(
  inbox: Inbox,
  request: TryRequest,
  on: Exclude<TryRequest["on"], { readonly from: "stored" }>,
  pace: Pace,
): Promise<TryPlan> {
  if (request.handler === undefined)
    throw new HookonceError("invalid_request", "Name a handler or a stored event.");
  const file = fileOf(inbox, request.handler);
  const sources = sourcesFor(inbox, file, request.source);
  const one = (event: Try["event"]): TryPlan => ({ tries: [{ file: file.file, event }], notes: [] });
  if (on.from === "sample") return one({ from: "sample", source: request.source, type: on.type });
  if (on.from === "data")
    return one({ from: "data", source: (sources[0] as Source).name, body: on.body, type: on.type });
  const last = await lastEvents(inbox, file, sources, on.from === "last" ? on.count : 1, pace);
  const { events, isCut, isRemoved } = last;
  const notes = isCut
    ? ["The search for stored events stopped after 5 s. Older events were not searched."]
    : [];
  if (events.length > 0) {
    if (events.some(({ outcome }) => outcome === "processed")) notes.push(ALREADY);
    return { tries: events.map((event) => ({ file: file.file, event: storedEvent(event) })), notes };
  }
  const none = isRemoved
    ? `The payloads of the events that run ${file.file} were removed by retention`
    : `No stored event runs ${file.file}`;
  if (on.from === "last") {
    const type = file.key === "_any" ? "TYPE" : file.key;
    const message = `${none}. Try it with --sample ${type}, or with --data FILE.`;
    throw new HookonceError("nothing_to_try", message);
  }
  const { tries } = one({ from: "sample", source: request.source });
  return {
    tries,
    notes: [...notes, `${none}${isRemoved ? "" : " yet"}. It was tried on its provider's sample.`],
  };
}

const storedEvent = ({
  source,
  eventId,
  type,
  outcome,
}: Pick<ListedEvent, "source" | "eventId" | "type" | "outcome">) =>
  ({ from: "stored", source, eventId, type, applied: outcome === "processed" }) as const;

const runs = (source: Source | undefined, { source: folder }: HandlerFile): boolean =>
  source?.handlersOf === folder;

function handlerFor({ table }: Inbox, { handlersOf: of }: Source, type: string): HandlerFile | null {
  return lookUp(table, of, type);
}

/** The sources whose events a handler runs: at least one. */
function sourcesFor({ sources }: Inbox, file: HandlerFile, named: string | undefined): Source[] {
  const all = [...sources.values()].filter((source) => runs(source, file));
  if (named === undefined) return all;
  const source = all.find(({ name }) => name === named);
  if (source !== undefined) return [source];
  if (!sources.has(named)) throw unknownSource(named, sources);
  const message = `Source "${named}" does not run ${file.file}. It runs the handlers in handlers/${sources.get(named)?.handlersOf}/.`;
  throw new HookonceError("unknown_source", message);
}

function unknownSource(name: string, sources: ReadonlyMap<string, Source>): HookonceError {
  const message = `There is no source "${name}"; ${nearest(name, [...sources.keys()])}`;
  return new HookonceError("unknown_source", message);
}

/** The handler with this path: below the inbox folder, below `handlers/`, absolute, or as the shell completes it. */
function fileOf({ folder, files }: Inbox, given: string): HandlerFile {
  const paths = new Set([join(folder, given), join(folder, "handlers", given), resolve(given)].map(realPath));
  const file = files.find(({ path }) => paths.has(realPath(path)));
  if (file !== undefined) return file;
  const all = files.map((one) => one.file);
  const remedy =
    all.length === 0
      ? "there are no handlers yet: hookonce add writes some"
      : nearestFile(
          given,
          all,
          `the handlers are ${all.slice(0, 8).join(", ")}${all.length > 8 ? ", …" : ""}`,
        );
  throw new HookonceError("unknown_handler", `There is no handler ${given} in ${folder}; ${remedy}`);
}

/** Compares as much of each path as is given: `paid.sql` with the names, `stripe/paid.sql` with the folders too. */
function nearestFile(given: string, files: readonly string[], others: string): string {
  const length = given.split("/").length;
  const ends = new Map(files.map((file) => [file, { aliases: [file.split("/").slice(-length).join("/")] }]));
  return nearest(given, ends, others);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** How long stored events are searched, in milliseconds. */
const MAX_SEARCH_MS = 5000;

interface LastEvents {
  readonly events: readonly ListedEvent[];
  readonly isCut: boolean;
  /** Whether there are some, and retention has removed their payloads. */
  readonly isRemoved: boolean;
}

/** The newest stored events that run this handler. Of an ignored or imported event there is no body. */
async function lastEvents(
  inbox: Inbox,
  file: HandlerFile,
  sources: readonly Source[],
  count: number,
  { signal, rest = 0 }: Pace = {},
): Promise<LastEvents> {
  const until = performance.now() + MAX_SEARCH_MS;
  const events: ListedEvent[] = [];
  let isCut = false;
  for (const [name, source] of inbox.stored) {
    if (!sources.includes(source)) continue;
    let after: Newest | undefined;
    let found = 0;
    do {
      const began = performance.now();
      const page = await inbox.reader.events({ source: name, type: typesOf(file.key) }, after, 500);
      const own = page.items.filter(
        ({ type, outcome }) =>
          outcome !== "ignored" &&
          outcome !== "imported" &&
          handlerFor(inbox, source, type)?.file === file.file,
      );
      events.push(...own);
      found += own.length;
      after = page.next;
      if (after === undefined || found >= count) break;
      // Reading a page blocks. Let the deliveries and a signal in before the next one.
      await Bun.sleep(rest * (performance.now() - began));
      isCut = performance.now() > until || signal?.aborted === true;
    } while (!isCut);
  }
  events.sort((a, b) => b.receivedAt - a.receivedAt);
  const kept: ListedEvent[] = [];
  for (const event of events) {
    if (kept.length === count) break;
    if (await inbox.reader.hasPayload(event.source, event.eventId)) kept.push(event);
  }
  return { events: kept, isCut, isRemoved: events.length > 0 && kept.length === 0 };
}
