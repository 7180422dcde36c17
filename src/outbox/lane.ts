import type { OutboxReader, StoredMessage } from "../engines/outbox.ts";
import { messageOf } from "../errors.ts";
import type { BodyRoom } from "./body-room.ts";
import { createDueRows } from "./due-rows.ts";
import { outgoingOf, type ReadsOf } from "./outgoing.ts";
import { createOutcomes, type OutcomeOptions } from "./outcomes.ts";
import { createRate } from "./rate.ts";
import type { AttemptResult, OutgoingMessage, Sender } from "./sender.ts";
import type { DestinationActivity } from "./view.ts";

/** What the schedule of a destination's messages depends on. */
export interface LaneSettings {
  readonly name: string;
  readonly kind: "url" | "command";
  readonly concurrency: number;
  /** Messages per second. */
  readonly rate: number | undefined;
  readonly timeoutMs: number;
  readonly retryForMs: number;
  /** What happens to a running command at a stop. */
  readonly onStop?: "kill" | "wait";
}

/** How messages are sent to a destination, as the config says it. */
export interface Route {
  readonly settings: LaneSettings;
  readonly sender: Sender;
}

export interface LaneOptions extends Route, Omit<OutcomeOptions, "settings" | "name"> {
  readonly reader: OutboxReader;
  readonly room: BodyRoom;
  readonly readsOf: ReadsOf;
}

/** What an attempt began with. */
interface Way extends Route {
  /** Ends its attempts. */
  readonly abort: AbortController;
}

/** Sends the messages of one destination. */
export interface Lane {
  /** Begins to send. */
  start(): void;
  /** Looks for due messages now. */
  wake(): void;
  /** The row of a message that is being sent. */
  rowOf(messageId: string): number | undefined;
  isSending(row: number): boolean;
  /** Null while the destination is not in the config. */
  activity(): DestinationActivity | null;
  /** Null: it is open. */
  setPaused(paused: DestinationActivity["paused"]): void;
  /**
   * Sends what has not been sent yet in this way. Attempts that have begun come to their end as they began.
   *
   * @param route undefined: the destination is gone from the config, and its messages wait
   */
  change(route: Route | undefined): void;
  /** Ends the commands that run, if it runs commands. */
  endCommands(): void;
  /** Begins no attempt any more. Resolves when those that have begun are over. */
  stop(): Promise<void>;
}

/** The longest time between two looks for due messages, in milliseconds. */
const POLL_MS = 1000;

/** How long to wait after an error of the database, in milliseconds. */
const AFTER_ERROR_MS = 10_000;

/** How many messages are started before deliveries have a turn: 1 ms. */
const AT_ONCE = 8;

/** How many results may wait to be recorded. Each has up to 4 kB of an answer. */
const MAX_UNRECORDED = 512;

/** How many rows that cannot be read are left out. If there are more, the database is the reason. */
const MAX_LEFT_OUT = 64;

/** How long an attempt goes on after a stop, in milliseconds: a request, and a command that is waited for. */
const REQUEST_GRACE_MS = 3000;
const COMMAND_GRACE_MS = 10_000;

export function createLane(options: LaneOptions): Lane {
  const { reader, room, readsOf, log, clock } = options;
  const { name } = options.settings;
  let way: Way = { settings: options.settings, sender: options.sender, abort: new AbortController() };
  /** Whether the destination is gone from the config. */
  let isGone = false;
  const rows = createDueRows((limit) => reader.dueMessages(name, clock(), limit));
  const rate = createRate(() => way.settings.rate);
  const outcomes = createOutcomes({
    ...options,
    name,
    settings: () => way.settings,
    onSettled(row) {
      rows.settle(row);
      // Now the next due time says when to look again.
      if (rows.taken === 0 || isFull) void pump();
    },
  });
  const { probing } = outcomes;
  /** The rows of the messages that are being sent. */
  const flights = new Map<number, { readonly id: string; readonly way: Way }>();
  let started = false;
  let stopped = false;
  let failing = false;
  /** Whether nothing is sent because too many results wait to be recorded. */
  let isFull = false;
  /** Whether the next message waits until there is room for its body. */
  let waitsForRoom = false;
  /** Rows that could not be read, until they are tried again. */
  const leftOut = new Set<number>();
  let timer: NodeJS.Timeout | undefined;
  let pumping: Promise<void> | undefined;
  let again = false;
  let landed = nothing;

  const isOpen = (): boolean => started && !stopped && !isGone && outcomes.paused === null;
  const slots = (): number => (probing.isOn ? 1 : way.settings.concurrency);

  /** Starts as many messages as may be sent now. */
  async function pump(): Promise<void> {
    again = true;
    await (pumping ??= pumpAll());
  }

  async function pumpAll(): Promise<void> {
    let waitMs = 0;
    let sent = 0;
    while (again) {
      again = false;
      try {
        while ((waitMs = await startNext()) === 0)
          if (++sent % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
        failing = false;
      } catch (error) {
        if (!failing && !stopped)
          log.warn({ destination: name, cause: messageOf(error) }, "messages could not be read");
        failing = true;
        waitMs = AFTER_ERROR_MS;
      }
    }
    pumping = undefined;
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(wake, failing ? AFTER_ERROR_MS : Math.min(waitMs, POLL_MS));
  }

  /** @returns how long to wait before the next one, in milliseconds; 0 if it may be started now */
  async function startNext(): Promise<number> {
    isFull = rows.taken - flights.size - leftOut.size >= MAX_UNRECORDED;
    if (!isOpen() || isFull || waitsForRoom || flights.size >= slots()) return POLL_MS;
    const waitMs = Math.max(rate.waitMs(), probing.waitMs());
    if (waitMs > 0) return waitMs;
    const row = await rows.next();
    if (row === undefined) return nextLook();
    return startRow(row);
  }

  async function startRow(row: number): Promise<number> {
    let giveBack: (() => void) | undefined;
    let stored: StoredMessage | "busy" | undefined;
    try {
      // Reading 20 MB takes 80 ms, so the room is asked for first.
      giveBack = room.take(name, await reader.messageBytes(row));
      if (giveBack === undefined) {
        rows.putBack(row);
        waitForRoom();
        return POLL_MS;
      }
      const { kind, concurrency } = way.settings;
      const most = kind === "command" ? concurrency : undefined;
      stored = await reader.claim(row, { now: clock(), destination: name, most });
    } catch (error) {
      giveBack?.();
      giveUp(row, error);
      return 0;
    }
    // It may have been paused, and the message discarded, while it was read.
    if (stored === "busy" || !isOpen()) {
      giveBack();
      rows.putBack(row);
      if (stored !== "busy") await reader.release(row);
      return POLL_MS;
    }
    if (stored === undefined || (stored.state !== "waiting" && stored.state !== "interrupted")) {
      giveBack();
      rows.settle(row);
      if (stored !== undefined) await reader.release(row);
      return 0;
    }
    rate.take();
    void send(stored, giveBack);
    return 0;
  }

  function waitForRoom(): void {
    waitsForRoom = true;
    room.whenFree(() => {
      waitsForRoom = false;
      wake();
    });
  }

  /** Goes on without a row that cannot be read. Rejects if that is likely to be true of all of them. */
  function giveUp(row: number, error: unknown): void {
    // What is stored is not what it must be, and will not be later.
    if (error instanceof SyntaxError || error instanceof TypeError)
      return outcomes.refuse(row, unreadable(error));
    if (stopped || leftOut.size >= MAX_LEFT_OUT) {
      rows.putBack(row);
      throw error;
    }
    log.warn(
      { destination: name, cause: messageOf(error) },
      "a message could not be read, and is tried later",
    );
    leftOut.add(row);
    setTimeout(() => {
      leftOut.delete(row);
      rows.settle(row);
      wake();
    }, AFTER_ERROR_MS).unref();
  }

  async function nextLook(): Promise<number> {
    // While others are being sent, the earliest time in the database is theirs.
    if (rows.taken > 0) return POLL_MS;
    const nextAt = await reader.nextDue(name);
    return nextAt === null ? POLL_MS : Math.max(nextAt - clock(), 1);
  }

  async function send(stored: StoredMessage, giveBack: () => void): Promise<void> {
    const { row, id } = stored;
    const isProbe = probing.isOn;
    const at = clock();
    const flight = { id, way };
    flights.set(row, flight);
    const result = await attempt(stored, flight.way);
    flights.delete(row);
    giveBack();
    outcomes.note(stored, result, { at, isProbe });
    landed();
    void pump();
  }

  async function attempt(stored: StoredMessage, { sender, abort }: Way): Promise<AttemptResult> {
    let outgoing: OutgoingMessage | undefined;
    try {
      outgoing = outgoingOf(stored, readsOf);
    } catch (error) {
      return notSent("hopeless", unreadable(error));
    }
    if (outgoing === undefined) return notSent("hopeless", NOTHING_STORED);
    const { kind, source } = outgoing;
    // A URL's message is signed as the source says, and a command's body may be a part of a batch.
    if (kind === "event" && readsOf(source) === undefined)
      return { ...notSent("interrupted", sourceGone(source)), retryAfterMs: SOURCE_GONE_MS };
    try {
      return await sender.send(outgoing, abort.signal);
    } catch (error) {
      return notSent("failed", messageOf(error));
    }
  }

  function wake(): void {
    rows.lookAgain();
    void pump();
  }

  return {
    start() {
      started = true;
      wake();
    },
    wake,
    rowOf: (messageId) => [...flights].find(([, { id }]) => id === messageId)?.[0],
    isSending: (row) => flights.has(row),
    activity: () => (isGone ? null : outcomes.activity(flights.size)),
    setPaused(paused) {
      outcomes.paused = paused;
      if (paused !== null) return;
      probing.hurry();
      wake();
    },
    change(route) {
      isGone = route === undefined;
      if (route === undefined) return;
      way = { settings: route.settings, sender: route.sender, abort: new AbortController() };
      wake();
    },
    endCommands() {
      for (const flight of flights.values())
        if (flight.way.settings.kind === "command") flight.way.abort.abort();
      way = { ...way, abort: new AbortController() };
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await pumping;
      const late = Array.from(
        Map.groupBy(flights.values(), (flight) => flight.way),
        ([{ settings, abort }, all]) => {
          const { kind, onStop, timeoutMs } = settings;
          if (onStop === "wait")
            log.info(
              { destination: name, running: all.length, seconds: Math.ceil(timeoutMs / 1000) },
              'waiting for a running command to end (on_stop = "wait")',
            );
          const graceMs =
            kind === "url" ? REQUEST_GRACE_MS : onStop === "wait" ? timeoutMs + COMMAND_GRACE_MS : 0;
          return setTimeout(() => abort.abort(), graceMs);
        },
      );
      while (flights.size > 0) await new Promise<void>((resolve) => (landed = resolve));
      for (const timer of late) clearTimeout(timer);
    },
  };
}

/** When a message whose source is gone is looked at again, in milliseconds. */
const SOURCE_GONE_MS = 3_600_000;

const nothing = (): void => {};

const NOTHING_STORED = "there is nothing to send: its payload was removed by retention or forget";

const unreadable = (error: unknown): string => `what is stored of it cannot be read: ${messageOf(error)}`;

const sourceGone = (source: string): string =>
  `the message cannot be sent, because its event is of the source "${source}", which is not in hookonce.toml: add the source again, or discard the message`;

function notSent(verdict: AttemptResult["verdict"], error: string): AttemptResult {
  return { verdict, status: null, error, retryAfterMs: null, answer: "", ms: 0 };
}
