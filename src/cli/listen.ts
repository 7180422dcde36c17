import { resolve } from "node:path";
import { urlProblem } from "../config/destination-url.ts";
import type { EventJson } from "../http/admin/shapes.ts";
import { HookonceError } from "../errors.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import type { OutgoingMessage } from "../outbox/sender.ts";
import { columns, cutEnd, oneLine, terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openListenCursor, type ListenCursor } from "./listen-cursor.ts";
import { fromFolder, fromUrl, isPassing, stepsOf, type From, type Step } from "./listen-from.ts";
import { readListenSources, type ListenSources } from "./listen-sources.ts";
import { toFolder, toUrl, type Brought, type To } from "./listen-to.ts";
import { filterQuery } from "./look-flags.ts";
import { listTime, shortTime, tookText } from "./moments.ts";
import { complain, say, sayJson, sayTable } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface ListenFlags {
  from?: string;
  to?: string;
  /** Unix milliseconds. */
  since?: number;
  source?: string;
  type?: string;
  redact?: string[];
  json?: boolean;
  database?: string;
}

/** Between two tries to reach either side, in milliseconds. It doubles. */
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 30_000;

/** How long a stop waits for an answer, in milliseconds. Without it, the event would be brought again. */
const LAST_ANSWER_MS = 2000;

/** How many events pass before a path that found nothing is named. */
const UNFOUND_AFTER = 20;

/** `hookonce listen`: brings events until a signal ends it. */
export async function runListen(folder: string, flags: ListenFlags): Promise<number> {
  const { from: fromFlag, to: toFlag, redact = [], database } = flags;
  if (fromFlag === undefined && toFlag === undefined)
    throw new UsageError(
      "from where, or to where? --to URL brings the events of this inbox to a URL, and --from URL brings the events of a serve elsewhere into this inbox.",
    );
  const problem = toFlag === undefined ? undefined : urlProblem(toFlag);
  if (problem !== undefined) throw new UsageError(`--to: ${problem}`);
  const inboxFolder = resolve(folder);
  const from = fromFlag === undefined ? fromFolder(folder, database) : fromUrl(fromFlag, folder);
  const sources = readListenSources(inboxFolder, redact);
  const to = toFlag === undefined ? toFolder(folder, database, sources) : toUrl(toFlag, sources);
  using cursor = openListenCursor(inboxFolder, from.key, to.key);
  if (cursor.other !== undefined)
    complain(
      `warning: another hookonce listen (process ${cursor.other}) brings the events of ${from.words} to ${to.words}, too. Each event arrives twice.`,
    );
  const listening = new Listening({ from, to, cursor, sources, flags });
  return await listening.run();
}

interface Parts {
  readonly from: From;
  readonly to: To;
  readonly cursor: ListenCursor;
  readonly sources: ListenSources;
  readonly flags: ListenFlags;
}

class Listening {
  /** Ends the stream. */
  readonly #stop = new AbortController();
  /** Ends the request that is under way, too. */
  readonly #cut = new AbortController();
  readonly #parts: Parts;
  /** Sources and reasons that were named. */
  readonly #named = new Set<string>();
  readonly #unfound: Set<string>;
  readonly #counts = { brought: 0, refused: 0, skipped: 0, gone: 0 };
  /** Until the first cursor, the place to begin at. */
  #start: string;
  #isLost = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { cursor, flags } = parts;
    this.#start = flags.since === undefined ? (cursor.value ?? "last") : "first";
    this.#unfound = new Set(flags.redact);
  }

  async run(): Promise<number> {
    const onSignal = (): void => {
      if (this.#stop.signal.aborted) this.#cut.abort();
      this.#stop.abort();
      setTimeout(() => this.#cut.abort(), LAST_ANSWER_MS).unref();
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, onSignal);
    const { from, to, flags, cursor } = this.#parts;
    const begin =
      flags.since !== undefined
        ? `that were received since ${shortTime(flags.since, Date.now())}`
        : cursor.value === undefined
          ? "that are received from now on"
          : "that were received after the last one that was brought";
    complain(`Bringing events of ${from.words} to ${to.words}: those ${begin}. Ctrl+C stops.`);
    try {
      await this.#follow();
    } finally {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
    }
    this.#summarize();
    return EXIT.done;
  }

  /** Connects again whenever the connection ends. */
  async #follow(): Promise<void> {
    const { from } = this.#parts;
    const { signal } = this.#stop;
    for (let pause = FIRST_PAUSE_MS; !signal.aborted;) {
      try {
        const client = await from.connect();
        for await (const step of stepsOf(client, this.#query(), signal)) {
          this.#isConnected();
          pause = FIRST_PAUSE_MS;
          if (!(await this.#settle(step))) return;
          this.#start = step.cursor;
          this.#parts.cursor.write(step.cursor);
        }
        // A stream ends after a number of events, too, so this is not a loss yet.
        if (pause === FIRST_PAUSE_MS) {
          pause *= 2;
          await passed(100, signal);
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isPassing(error)) throw explained(error, from);
        this.#lost(error.message);
      }
      await passed(pause, signal);
      pause = Math.min(2 * pause, LAST_PAUSE_MS);
    }
  }

  #query() {
    const { source, type, since } = this.#parts.flags;
    return { ...filterQuery({ ...defined({ source, type, since }) }), cursor: this.#start };
  }

  #lost(why: string): void {
    if (!this.#isLost) complain(`note: ${visible(sentence(why))} Trying again until it works.`);
    this.#isLost = true;
  }

  #isConnected(): void {
    if (this.#isLost) complain(`note: connected to ${this.#parts.from.words}.`);
    this.#isLost = false;
  }

  /** @returns false if the event was not settled, because of a stop */
  async #settle({ event, content }: Step): Promise<boolean> {
    if (event === null) return true;
    // A stop between two events does not begin another one.
    if (this.#stop.signal.aborted) return false;
    // Of these, a body was never kept.
    if (content === null && (event.outcome === "ignored" || event.outcome === "imported")) return true;
    if (content === null) {
      this.#counts.gone++;
      this.#report(event, { kind: "skipped", why: "not stored" }, 0);
      return true;
    }
    const source = this.#parts.sources.of(event.source);
    if ("problem" in source) return this.#skip(event, source.problem);
    const { unsigned } = source;
    if (unsigned !== undefined && !this.#parts.to.takesUnsigned) return this.#skip(event, unsigned);
    if (unsigned !== undefined)
      this.#once(event.source, `warning: ${unsigned} They keep the signature that they came with.`);
    const made = source.messageOf(event, content);
    if ("problem" in made)
      return this.#skip(event, `the values of --redact cannot be masked, because ${made.problem}`);
    this.#note(made.found);
    return await this.#deliver(event, made.message);
  }

  async #deliver(event: EventJson, message: OutgoingMessage): Promise<boolean> {
    const { to } = this.#parts;
    let pause = FIRST_PAUSE_MS;
    for (let attempt = 1; ; attempt++) {
      const result = await to.deliver({ ...message, attempt }, this.#cut.signal);
      if (result.kind === "stopped") return false;
      if (result.kind === "skipped") return this.#skip(event, result.why);
      if (result.kind === "answered") {
        this.#counts[result.isGood ? "brought" : "refused"]++;
        this.#report(event, result, attempt);
        return true;
      }
      if (attempt === 1)
        complain(
          `note: ${visible(event.event_id)} has not arrived: ${visible(sentence(result.why))} Trying again until it does.`,
        );
      await passed(Math.max(pause, result.afterMs), this.#stop.signal);
      if (this.#stop.signal.aborted) return false;
      pause = Math.min(2 * pause, LAST_PAUSE_MS);
    }
  }

  #skip(event: EventJson, why: string): boolean {
    this.#counts.skipped++;
    this.#once(
      `${event.source} ${why}`,
      `note: events of source "${visible(event.source)}" are skipped: ${visible(sentence(why))}`,
    );
    this.#report(event, { kind: "skipped", why }, 0);
    return true;
  }

  #once(key: string, text: string): void {
    if (!this.#named.has(key)) complain(text);
    this.#named.add(key);
  }

  /** A misspelled path would leave its value. */
  #note(found: readonly string[]): void {
    for (const path of found) this.#unfound.delete(path);
    const { brought, refused } = this.#counts;
    if (brought + refused + 1 === UNFOUND_AFTER) this.#warnOfUnfound();
  }

  #warnOfUnfound(): void {
    for (const path of this.#unfound)
      complain(
        `warning: --redact ${visible(path)} has found nothing in any event so far. Check its spelling.`,
      );
  }

  #report(
    event: EventJson,
    result: Exclude<Brought, { kind: "unreached" | "stopped" }>,
    attempts: number,
  ): void {
    const { source, event_id, type, received_at } = event;
    const answered = result.kind === "answered" ? result : null;
    const why = result.kind === "skipped" ? result.why : null;
    if (this.#parts.flags.json === true) {
      const { status = null, said = null, line: answer = null, ms = null } = answered ?? {};
      const at = { source, event_id, type, received_at, result: result.kind };
      sayJson(JSON.stringify({ ...at, status, said, answer, ms, attempts, reason: why }));
      return;
    }
    const width = terminalWidth();
    const time = width === undefined ? shortTime(received_at, Date.now()) : listTime(received_at, Date.now());
    const words =
      answered === null
        ? why === "not stored"
          ? why
          : "skipped"
        : `${answered.status} ${answered.said ?? ""}`;
    const { ms = 0 } = answered ?? {};
    const took = answered === null ? "" : ms < 10 ? `${ms} ms` : tookText(ms * 1000);
    const cells = [time, words.trim().padEnd(13), source, type || "(none)", took, event_id];
    const [, line = ""] = columns(
      cells.map(() => ""),
      [cells],
      { width, flexible: [2, 3], optional: [4], endsWithId: true },
    );
    const isBad = answered?.isGood === false && answered.line !== "";
    sayTable(isBad ? [line, `    ${cutEnd(oneLine(answered.line), (width ?? 200) - 4)}`] : [line]);
  }

  #summarize(): void {
    const { brought, refused, skipped, gone } = this.#counts;
    if (brought + refused > 0) this.#warnOfUnfound();
    if (this.#parts.flags.json === true) return;
    if (brought + refused + skipped + gone === 0) return say("No event was brought.");
    const parts = [
      `${counted(brought, "event")} brought`,
      ...(refused === 0 ? [] : [`${refused} answered with an error`]),
      ...(skipped === 0 ? [] : [`${skipped} skipped`]),
      ...(gone === 0 ? [] : [`${gone} no longer stored`]),
    ];
    say(`${parts.join(", ")}. The next hookonce listen goes on after them.`);
  }
}

/** An older `serve` does not know the cursor, and refuses it as it refuses any query that it does not know. */
function explained(error: unknown, { words }: From): unknown {
  if (
    !(error instanceof HookonceError) ||
    error.code !== "invalid_request" ||
    !/\bcursor\b/.test(error.message)
  )
    return error;
  return new HookonceError(
    "invalid_request",
    `The hookonce serve of ${words} is older than this one and cannot go on from an event. Update hookonce there, then listen again.`,
    { cause: error },
  );
}

/** Without the values that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

function passed(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done);
  });
}
