import { formatSize } from "../config/size.ts";
import type { Retention } from "../config/retention-schema.ts";
import type { HealthWarning } from "../engines/engine.ts";
import type { Retained, RetentionStep } from "../engines/retention.ts";
import { messageOf } from "../errors.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";

export type RetentionOptions = Pick<OpenInboxOptions, "log" | "clock"> & RetentionPace;

/** In milliseconds. Only tests change it. */
export interface RetentionPace {
  /** How often to look for what is old. */
  readonly everyMs?: number;
  /** How often to look at the size of the database, if it has a limit. */
  readonly lookMs?: number;
  /** How long nothing counts as old after the clock has jumped forward. */
  readonly distrustMs?: number;
}

export interface RetentionService {
  /** Undefined if the database is not too large, or can be made smaller. */
  warning(): HealthWarning | undefined;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How long messages are kept that could not be delivered. */
const DEAD_MS = 90 * 24 * HOUR_MS;

/**
 * After a step, retention rests so many times as long as the step took, its sync included, so that deliveries keep
 * their rate: with 4 instead of 9, they lost half of it.
 */
const REST = 9;

/** In milliseconds. The second is for a database that is nearly full: while it rests, others fill it. */
const MAX_REST_MS = 5000;
const MAX_REST_MS_IF_FULL = 50;

/** At least this part of the limit is freed at once. Otherwise the database is too large again a second later. */
const SLACK = 1 / 32;

/** How much stays free inside the file, to be used again: a part of what is used, and at least so many bytes. */
const KEPT_FREE = 1 / 16;
const KEPT_FREE_BYTES = 1024 * 1024;

/**
 * A payload that an event needs now may be removable later, but a step begins where the last one ended. So the steps
 * begin from the first payload again after this time, in milliseconds.
 */
const FROM_FIRST_MS = HOUR_MS;
const FROM_FIRST_IF_FULL_MS = MINUTE_MS;

/** How long to wait after an error, such as a full disk, in milliseconds. */
const AFTER_ERROR_MS = 10_000;

type Named<Step> = Step extends unknown ? Omit<Step, "after"> : never;

/**
 * Removes what `[retention]` says, in steps that take turns with the deliveries (engines/retention.ts). A crash
 * between two steps loses nothing: the next start goes on with what is left. Without the key, nothing is removed.
 */
export async function startRetention(
  services: Services,
  { engine, queue, live }: Pick<Inbox, "engine" | "queue" | "live">,
  options: RetentionOptions,
): Promise<RetentionService> {
  const { log, clock, everyMs = MINUTE_MS, lookMs = 1000, distrustMs = HOUR_MS } = options;
  const settings = (): Retention => live().config.retention;
  const stopping = new AbortController();
  const { signal } = stopping;
  const isTrusted = trustedClock(clock, distrustMs);
  /** Up to where each kind of step has come. */
  const positions = new Map<string, number>();
  let fromFirstAt = performance.now();
  let lastUsed: number | undefined;
  /** When the database was last made smaller, on the monotonic clock. */
  let fittedAt = Number.NEGATIVE_INFINITY;
  /** How large the database is, if it is too large and nothing can be removed. In bytes. */
  let stuckAt: number | undefined;
  const old = createSteps(MAX_REST_MS);
  const size = createSteps(MAX_REST_MS_IF_FULL);

  /** @param mostMs how long it rests at most */
  function createSteps(mostMs: number) {
    let tookMs = 0;
    return {
      async take(step: Named<RetentionStep>, name: string = step.remove): Promise<Retained> {
        const job = { ...step, after: positions.get(name) ?? 0 } as RetentionStep;
        const began = performance.now();
        const retained = await queue.write({ kind: "retention", step: job, at: clock() }, signal);
        tookMs = performance.now() - began;
        positions.set(name, retained.position);
        return retained;
      },
      /** @returns false at a stop */
      rest: (): Promise<boolean> => passed(Math.min(REST * tookMs, mostMs), signal),
    };
  }

  function beginFromFirst(afterMs: number): boolean {
    if (performance.now() - fromFirstAt < afterMs) return false;
    fromFirstAt = performance.now();
    positions.clear();
    return true;
  }

  async function removeOld({ payloadsMs }: Retention): Promise<void> {
    beginFromFirst(FROM_FIRST_MS);
    const now = clock();
    const before = payloadsMs === null ? null : now - payloadsMs;
    // Messages come first: they may be the last that needs the payload of an event.
    const steps: Named<RetentionStep>[] = [{ remove: "messages", before, deadBefore: now - DEAD_MS }];
    if (before !== null) steps.push({ remove: "payloads", before }, { remove: "failure bodies", before });
    let removed = 0;
    let discarded = 0;
    for (const step of steps) {
      for (;;) {
        const retained = await old.take(step);
        removed += retained.removed;
        discarded += retained.discarded;
        if (retained.isEnd) break;
        if (!(await old.rest())) return;
      }
    }
    if (removed > 0) log.info({ removed }, "retention removed payloads and messages");
    if (discarded > 0)
      log.warn({ discarded }, "retention discarded unhandled events, because their payloads were too old");
  }

  async function fit(most: number): Promise<void> {
    const reader = await engine.reader();
    const { usedBytes } = await reader.space();
    // If it grows at the same rate, it is too large at the next look.
    const grown = Math.max(0, usedBytes - (lastUsed ?? usedBytes));
    const isFull = usedBytes + grown > most;
    lastUsed = usedBytes;
    if (!isFull) return say(undefined);
    while (!(await size.take({ remove: "nothing" })).isEnd);
    // Room for what arrives until the next look.
    const target = most - Math.max(most * SLACK, Math.min(2 * grown, most / 4));
    /** Sources of which nothing is left to remove, and up to where they were counted then. */
    const ended = new Map<string, number>();
    for (;;) {
      const { usedBytes: used } = await reader.space();
      lastUsed = used;
      if (used <= target) return say(undefined);
      // Deliveries arrive meanwhile, perhaps of the source that has the most.
      const { position: counted } = await size.take({ remove: "nothing" });
      const [first, second] = (await reader.storedBytes()).filter(
        ({ source, bytes }) => bytes > 0 && ended.get(source) !== counted,
      );
      if (first !== undefined) {
        const excess = used - target;
        // At most until another source has the most, unless the two would only take turns.
        const lead = Math.max(first.bytes - (second?.bytes ?? 0), excess / 4);
        const { source } = first;
        const step = { remove: "payloads of", source, bytes: Math.min(excess, lead) } as const;
        if ((await size.take(step, `${step.remove} ${source}`)).isEnd) ended.set(source, counted);
      } else if (
        // Messages that are settled are the last that can go.
        (await size.take({ remove: "messages", before: clock() + 1, deadBefore: null }, "settled messages"))
          .isEnd
      ) {
        if (!beginFromFirst(FROM_FIRST_IF_FULL_MS)) return say(used > most ? used : undefined);
        ended.clear();
      }
      fittedAt = performance.now();
      // Above the limit, it goes on at once: the deliveries have every other turn.
      if (used <= most && !(await size.rest())) return undefined;
    }
  }

  function say(stuck: number | undefined): void {
    const was = stuckAt;
    stuckAt = stuck;
    const max = settings().maxBytes;
    if (was === undefined && stuck !== undefined) log.warn({ used: stuck, max }, tooLarge(stuck));
    else if (was !== undefined && stuck === undefined && max !== null)
      log.info({ max }, "the database is within max_size again");
  }

  async function returnPages(): Promise<void> {
    const { usedBytes, freeBytes, canShrink } = await (await engine.reader()).space();
    const keepBytes = Math.max(KEPT_FREE_BYTES, usedBytes * KEPT_FREE);
    if (!canShrink || freeBytes <= 2 * keepBytes) return;
    // What a database of a limited size has free is used again soon.
    while (performance.now() - fittedAt > MINUTE_MS) {
      if ((await old.take({ remove: "free pages", keepBytes })).isEnd || !(await old.rest())) return;
    }
  }

  /** What is counted in time need not be counted in haste. */
  async function count(most: number): Promise<void> {
    const { usedBytes, isCounted } = await (await engine.reader()).space();
    if (!isCounted && usedBytes < most / 2) return;
    while (!(await old.take({ remove: "nothing" })).isEnd) if (!(await old.rest())) return;
  }

  async function eachMinute(): Promise<void> {
    const now = settings();
    const { payloadsMs, maxBytes } = now;
    const trusted = isTrusted();
    if (payloadsMs === null && maxBytes === null) return;
    if (trusted) await removeOld(now);
    await returnPages();
    if (maxBytes !== null) await count(maxBytes);
  }

  async function eachLook(): Promise<void> {
    const { maxBytes } = settings();
    if (maxBytes === null) say(undefined);
    else await fit(maxBytes);
  }

  async function repeat(work: () => Promise<void>, betweenMs: number): Promise<void> {
    let failing = false;
    let wait = everyMs;
    while (await passed(wait, signal)) {
      wait = betweenMs;
      try {
        await work();
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing)
          log.warn({ cause: messageOf(error) }, "retention could not remove old payloads, and tries again");
        failing = true;
        wait = Math.max(AFTER_ERROR_MS, betweenMs);
      }
    }
  }

  const ended = Promise.all([repeat(eachMinute, everyMs), repeat(eachLook, lookMs)]);
  await services.start(() => ({
    name: "retention",
    async stop() {
      stopping.abort();
      await ended;
    },
  }));
  return {
    warning: () =>
      stuckAt === undefined ? undefined : { code: "database_too_large", message: tooLarge(stuckAt) },
  };
}

function tooLarge(used: number): string {
  return `The database uses ${inMib(used)}, more than max_size under [retention], and nothing is left that retention may remove. Owed events, unsent messages, ids and your own tables stay. Apply or discard what is owed, or write a larger max_size.`;
}

const inMib = (bytes: number): string => formatSize(Math.ceil(bytes / 1024 ** 2) * 1024 ** 2);

/**
 * A clock that jumps forward may be wrong, and what is removed does not come back. So nothing counts as old for an
 * hour, in which somebody or NTP can correct it.
 */
function trustedClock(clock: () => number, distrustMs: number): () => boolean {
  let last = { clock: clock(), monotonic: performance.now() };
  let trustedAt = 0;
  return () => {
    const now = { clock: clock(), monotonic: performance.now() };
    const jump = now.clock - last.clock - (now.monotonic - last.monotonic);
    last = now;
    if (jump > distrustMs) trustedAt = now.monotonic + distrustMs;
    return now.monotonic >= trustedAt;
  };
}
