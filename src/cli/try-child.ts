import { writeSync } from "node:fs";
import { join } from "node:path";
import { limitChild } from "../app/child-limits.ts";
import { runEvents, type DryRunLine, type DryRunOrder } from "../app/dry-run-child.ts";
import { openTrialOf, withLock } from "../app/trial.ts";
import { nothingDone, type Try, type TryLine, type TryOrder } from "../app/tries.ts";
import { readTextFile } from "../config/text-file.ts";
import type { Incoming, LoadedHandler } from "../engines/engine.ts";
import { placeOf } from "../engines/error-place.ts";
import { onStrayOutput } from "../engines/handler-output.ts";
import { exitProcess } from "../engines/handler-process.ts";
import type { StoredEvent, Trial } from "../engines/store.ts";
import type { ObservedRun } from "../engines/trial.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { HandlersRead } from "../handlers/load.ts";
import { columnQueries } from "../handlers/column-queries.ts";
import { nullColumnPathsIn, nullPathsIn } from "../handlers/null-paths.ts";
import type { TriedJson } from "../http/admin/try-shapes.ts";
import { eventTypes } from "../providers/event-types.ts";
import type { Source } from "../providers/source.ts";
import { eventOf } from "../simulator/given-event.ts";
import { sampleEvents } from "../simulator/sample-event.ts";

/**
 * Tries handlers of a folder, in a separate process, because user code cannot be interrupted. Ends the
 * process without closing the database (engines/sqlite/trial.ts).
 */
export async function runTryChild(): Promise<never> {
  const order = JSON.parse(await Bun.stdin.text()) as TryOrder | DryRunOrder;
  limitChild(order.parent, order.leftMs);
  const say = (line: TryLine | DryRunLine): void => {
    writeSync(1, `\n${order.token}${JSON.stringify(line)}\n`);
  };
  // What handlers write while they do not run is for the log of a serve.
  onStrayOutput(() => {});
  try {
    if ("tries" in order) await tryAll(order, say);
    else await runEvents(order, say);
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    say({ is: "refused", why: refusalOf(error) });
  }
  return exitProcess(0);
}

function refusalOf(error: HookonceError): string {
  const [first] = error.problems;
  return first === undefined ? messageOf(error) : `${messageOf(error)} ${placed(first)}`;
}

const placed = ({ file, line, message }: Problem): string =>
  `${file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}`}: `}${message}`;

async function tryAll(order: TryOrder, say: (line: TryLine) => void): Promise<void> {
  const files = new Set(order.tries.map(({ file }) => file));
  const opened = await openTrialOf(order, (file) => files.has(file), columnQueries);
  if (opened === "copy") return say({ is: "copy" });
  if ("why" in opened) return say({ is: "refused", why: opened.why });
  for (const one of order.tries) {
    const handler = await loaded(one.file, opened);
    const chosen = "hash" in handler ? eventsFor(one, opened) : handler;
    if (!("hash" in handler) || !("events" in chosen)) {
      say({ is: "end", ran: { ...nothingDone(one.file, one.event), ...chosen } });
      continue;
    }
    const all: TriedJson[] = [];
    for (const event of chosen.events) {
      const tried = await tryOn(event, handler, one, order, opened, say);
      if (tried === undefined) return say({ is: "copy" });
      all.push(tried);
    }
    // One sample that fits is enough: `_any` need not be for all of them.
    const best = all.find(({ failure, null_paths: paths }) => failure === null && paths.length === 0);
    say({ is: "end", ran: { ...(best ?? (all[0] as TriedJson)), events_in_body: chosen.inBody ?? 1 } });
  }
}

interface Opened {
  readonly trial: Trial;
  readonly read: HandlersRead;
  readonly sources: ReadonlyMap<string, Source>;
  readonly storedSources: ReadonlyMap<string, Source>;
}

/** The handler, or why it does not load. */
async function loaded(
  file: string,
  { trial, read }: Opened,
): Promise<LoadedHandler | Pick<TriedJson, "failure"> | Pick<TriedJson, "why">> {
  const code = read.code.find((one) => one.code.file === file)?.code;
  const handler = code === undefined ? read.problems : await trial.loadHandler(code);
  if ("hash" in handler) return handler;
  const problem = handler.find((one) => one.file === file);
  if (problem === undefined) return { why: "its source has a problem" };
  const at = problem.line === undefined ? file : `${file}:${problem.line}`;
  return { failure: { code: "handlers_invalid", error: problem.message, at, line: null } };
}

type Chosen = Incoming | StoredEvent;

/** The events to try a handler on, at least one, or why there are none. */
function eventsFor(
  { file, event }: Try,
  opened: Opened,
): { readonly events: readonly Chosen[]; readonly inBody?: number } | { readonly why: string } {
  const { sources, storedSources } = opened;
  const { key = "", source: folder } = opened.read.code.find((one) => one.code.file === file) ?? {};
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex");
  if (event.from === "stored") {
    const source = storedSources.get(event.source);
    if (source === undefined) return noSource(event.source);
    return { events: [{ source, eventId: event.eventId }] };
  }
  if (event.from === "data") {
    const source = sources.get(event.source);
    if (source === undefined) return noSource(event.source);
    const given = { key, type: event.type, id, now: Date.now() };
    const read = eventOf(Buffer.from(event.body, "base64"), source, given);
    return { events: [read.event], inBody: read.events };
  }
  let why = "there is no source for it";
  for (const source of sources.values()) {
    if (event.source === undefined ? source.handlersOf !== folder : source.name !== event.source) continue;
    const samples = sampleEvents(source, event.type ?? key, eventTypes, id, Date.now());
    const events = samples.filter((sample) => !("why" in sample)) as Incoming[];
    if (events.length > 0) return { events };
    const [first] = samples;
    why =
      first !== undefined && "why" in first
        ? first.why
        : `there is no sample of what source "${source.name}" receives`;
  }
  return { why };
}

function noSource(name: string): { readonly why: string } {
  return { why: `source "${name}" has a problem, or hookonce.toml does not have it` };
}

/** @returns undefined if another process holds the write lock */
async function tryOn(
  event: Chosen,
  handler: LoadedHandler,
  one: Try,
  order: TryOrder,
  opened: Opened,
  say: (line: TryLine) => void,
): Promise<TriedJson | undefined> {
  const base = nothingDone(one.file, one.event);
  const about = "input" in event ? aboutIncoming(event) : {};
  const { source, event_id, type } = { ...base, ...about };
  const ran = await withLock(order, () => {
    say({ is: "begin", source, event_id, type });
    return opened.trial.observe(event, handler);
  });
  if (ran === undefined) return undefined;
  return {
    ...base,
    source,
    event_id: ran.eventId,
    type,
    why: ran.ran ? null : "its body is not stored",
    failure: ran.error === undefined ? null : failureOf(ran.error, order.folder),
    ...shown(ran),
  };
}

function aboutIncoming({ source, input: { id, type } }: Incoming) {
  return { source: source.name, event_id: id, type };
}

function shown({
  rowsChanged,
  durationUs,
  reply,
  tables,
  messages,
  statements,
  output,
  ...read
}: ObservedRun) {
  return {
    rows_changed: rowsChanged,
    duration_us: durationUs,
    reply: reply === null ? null : { status: reply.status, body: reply.body },
    tables,
    messages,
    statements,
    null_paths: [...nullPathsIn(read.bound), ...nullColumnPathsIn(read.rowsRead)],
    output,
  };
}

function failureOf(error: unknown, folder: string): NonNullable<TriedJson["failure"]> {
  const code = error instanceof HookonceError ? error.code : "handler_error";
  const at = placeOf(error) ?? null;
  return { code, error: messageOf(error), at, line: at === null ? null : lineAt(at, folder) };
}

/** The line of the inbox folder that `handlers/x.ts:12` names. */
function lineAt(at: string, folder: string): string | null {
  const [, file = "", line = ""] = /^(.*?):(\d+)(?::\d+)?$/.exec(at) ?? [];
  try {
    return readTextFile(join(folder, file)).split("\n")[Number(line) - 1]?.trim() ?? null;
  } catch {
    return null; // it has been removed since
  }
}
