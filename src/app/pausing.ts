import type { Result } from "../engines/engine.ts";
import type { Entry } from "../engines/records.ts";
import type { PausedSource, SourceEntry } from "../engines/source-states.ts";
import { messageOf } from "../errors.ts";
import { holdWarnings, type HoldWarning } from "../inbox/hold-warnings.ts";
import type { Pausing } from "../inbox/pausing.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";

export interface PausingOptions extends Pick<OpenInboxOptions, "log" | "clock"> {
  /** How often to look for pauses that are over, in milliseconds. Only tests change it. */
  readonly everyMs?: number;
  /** The monotonic clock, in milliseconds. Only tests pass one. */
  readonly now?: () => number;
}

/** How many held events are run at once, so that they share a sync. */
const PAGE = 256;

const OPEN = { state: "open", until: null, reason: null, stopOnFailure: false } as const;

/** How long to wait after an error, such as a full disk, in milliseconds. */
const AFTER_ERROR_MS = 10_000;

/**
 * Runs what is held of sources that resume, each in the order received, and resumes those whose pause is over. Each
 * event has one transaction, so a crash loses none and runs none twice: the next start goes on with the rest.
 */
export async function startPausing(
  services: Services,
  { engine, queue, live }: Pick<Inbox, "engine" | "queue" | "live">,
  { log, clock, everyMs = 1000, now = () => performance.now() }: PausingOptions,
): Promise<Pausing> {
  const stopping = new AbortController();
  const { signal } = stopping;
  /** The sources that resume now. */
  const resuming = new Map<string, Promise<void>>();
  let refusing: ReadonlySet<string> = new Set();
  /** When pauses are over, on the monotonic clock. */
  const ends = new Map<string, { readonly until: number; readonly at: number }>();
  /** How often somebody has paused or resumed a source. */
  let changes = 0;
  let warnings: readonly HoldWarning[] = [];
  let wake = Promise.withResolvers<void>();

  const write = (entries: readonly Entry[]): Promise<null> =>
    queue.write({ kind: "record", entries }, signal);

  async function look(): Promise<void> {
    const reader = await engine.reader();
    const before = changes;
    const states = await reader.sourceStates();
    warnOf(holdWarnings(states, clock()));
    if (before === changes)
      refusing = new Set(states.filter(({ state }) => state === "refusing").map(({ name }) => name));
    for (const { name, until } of states.filter(isOver)) {
      if (until === null) continue;
      await write([{ entry: "pause over", name, until, at: clock() }]);
      ends.delete(name);
      log.info({ source: name }, "the pause is over, because its time has passed");
      return look();
    }
    for (const { name, state, held } of states) {
      if (state !== "resuming" || resuming.has(name)) continue;
      // Of a source that is no longer in the config, nothing can run. It is open once its events are discarded.
      if (!live().sources.has(name)) {
        if (held === 0) await write([{ entry: "source gone", name }]);
        continue;
      }
      resuming.set(
        name,
        untilOpen(name).finally(() => resuming.delete(name)),
      );
    }
  }

  /**
   * Whether the time of a pause has passed. This process has counted it since it first saw the pause, whatever
   * the clock does meanwhile. If the clock was behind at that time, the pause is not longer than somebody has said.
   */
  function isOver({ name, since, until }: PausedSource): boolean {
    if (until === null) return false;
    const seen = ends.get(name);
    if (seen?.until === until) return seen.at <= now();
    const whole = until > since ? until - since : Number.POSITIVE_INFINITY;
    const left = Math.min(until - clock(), whole);
    ends.set(name, { until, at: now() + left });
    return left <= 0;
  }

  /** Each is logged once, when it begins. */
  function warnOf(found: readonly HoldWarning[]): void {
    const isNew = ({ source, code }: HoldWarning): boolean =>
      !warnings.some((one) => one.source === source && one.code === code);
    for (const { source, message } of found.filter(isNew)) log.warn({ source }, message);
    warnings = found;
  }

  async function untilOpen(name: string): Promise<void> {
    log.info({ source: name }, "held events are run");
    let failing = false;
    do {
      try {
        await runHeld(name);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) log.warn({ source: name, cause: messageOf(error) }, "held events could not be run");
        failing = true;
      }
    } while (await passed(AFTER_ERROR_MS, signal));
  }

  /** Ends when none is left, or when the source is paused again. */
  async function runHeld(name: string): Promise<void> {
    let count = 0;
    for (let isEnd = false; !isEnd;) {
      const source = live().sources.get(name);
      if (source === undefined) return;
      const jobs = Array.from({ length: PAGE }, () =>
        queue.write({ kind: "resume", source, at: clock() }, signal),
      );
      for (const run of await Promise.allSettled(jobs)) {
        if (run.status === "rejected") throw run.reason;
        if (run.value === null) isEnd = true;
        else {
          count++;
          say(name, run.value);
        }
      }
    }
    const states = await (await engine.reader()).sourceStates();
    if (!states.some((one) => one.name === name))
      log.info({ source: name, events: count }, "the source is open again: nothing is held any more");
  }

  function say(source: string, { eventId, type, handler, outcome, error }: Result): void {
    const line = { source, event: eventId, type, handler, outcome };
    if (outcome === "failed") log.error({ ...line, cause: messageOf(error) }, "held event run");
    else log.info(line, "held event run");
  }

  async function untilStop(): Promise<void> {
    let failing = false;
    let wait = everyMs;
    // The first look loads the reader, and a start does not wait for it.
    for (;;) {
      const woken = new AbortController();
      void wake.promise.then(() => woken.abort());
      await passed(wait, AbortSignal.any([signal, woken.signal]));
      if (signal.aborted) return;
      wake = Promise.withResolvers();
      try {
        await look();
        failing = false;
        wait = everyMs;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) log.warn({ cause: messageOf(error) }, "the states of sources could not be read");
        failing = true;
        wait = Math.max(AFTER_ERROR_MS, everyMs);
      }
    }
  }

  async function change(
    entry: Omit<SourceEntry, "entry" | "at">,
    action: "pause" | "resume",
    actor: string,
  ): Promise<void> {
    const { name, state, reason } = entry;
    const at = clock();
    await queue.write({
      kind: "record",
      entries: [
        { entry: "source", at, ...entry },
        { entry: "audit", change: { at, actor, action, target: name, reason } },
      ],
    });
    changes++;
    const others = [...refusing].filter((one) => one !== name);
    refusing = new Set(state === "refusing" ? [...others, name] : others);
    wake.resolve();
  }

  const ended = untilStop().then(() => Promise.all(resuming.values()));
  await services.start(() => ({
    name: "pausing",
    async stop() {
      stopping.abort();
      await ended;
    },
  }));
  return {
    async pause(name, { refuse = false, until = null, reason = null }, actor) {
      const state = refuse ? "refusing" : "held";
      await change({ name, state, until, reason, stopOnFailure: false }, "pause", actor);
      log.info(
        { source: name, actor, until: until ?? undefined },
        refuse
          ? "the source is paused: its deliveries are refused"
          : "the source is paused: its events are held",
      );
    },
    async resume(name, { stopOnFailure = false }, actor) {
      await change({ name, ...OPEN, stopOnFailure }, "resume", actor);
      log.info({ source: name, actor }, "the pause is over");
    },
    isRefusing: (name) => refusing.has(name),
    warnings: () => warnings.map(({ code, message }) => ({ code, message })),
  };
}
