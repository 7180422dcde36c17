import type { CommandRun, OutboxReader, PausedDestination } from "../engines/outbox.ts";
import { messageOf } from "../errors.ts";
import { createBodyRoom } from "./body-room.ts";
import { createLane, type Lane, type LaneSettings, type Route } from "./lane.ts";
import { endLeftovers, type LeftoverOptions } from "./leftovers.ts";
import type { OutboxLog } from "./log.ts";
import type { ReadsOf } from "./outgoing.ts";
import { createRecorder, type WriteEntries } from "./recorder.ts";
import type { OutcomeOptions } from "./outcomes.ts";
import type { OutgoingMessage, Sender } from "./sender.ts";
import { unknownDestination } from "./unknown-destination.ts";
import type { DestinationActivity, OutboxView } from "./view.ts";

/** Records that a command is about to run. It rejects if that cannot be recorded. */
export type OnStarted = (message: OutgoingMessage, run: CommandRun) => Promise<void>;

export interface Destination extends LaneSettings {
  readonly createSender: (onStarted: OnStarted) => Sender;
}

export interface DispatchOptions {
  /** In the order of the config. */
  readonly destinations: readonly Destination[];
  readonly reader: OutboxReader;
  readonly write: WriteEntries;
  readonly readsOf: ReadsOf;
  readonly endLeftover: LeftoverOptions["endLeftover"];
  readonly log: OutboxLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly onAttempt?: OutcomeOptions["onAttempt"];
}

/** Sends messages on, until it is stopped. */
export interface Dispatcher extends OutboxView {
  /**
   * Prepares a reload. What it resolves to makes the change, and cannot fail: messages that have not been sent yet
   * are sent as these destinations say, and those of a destination that is gone wait.
   */
  prepare(destinations: readonly Destination[]): Promise<() => void>;
  /** Ends the commands that run. Their messages are due again. */
  endCommands(): void;
  /**
   * Begins no attempt any more. Requests that have begun get some seconds. Commands are ended, or waited for if
   * their destination has `on_stop = "wait"`. Resolves once all results are durable.
   */
  stop(): Promise<void>;
}

/** How often to look for what other processes have enqueued, in milliseconds. */
const POLL_MS = 1000;

/** How long a stop waits until results can be written, in milliseconds. */
const RECORD_MS = 2000;

/**
 * Each destination has its own lane, so no destination waits for another. Only the memory says that a message is
 * being sent: after a crash it is still waiting, and is sent again with the same id.
 */
export async function startDispatch(options: DispatchOptions): Promise<Dispatcher> {
  const { destinations, reader, write, log, clock } = options;
  const recorder = createRecorder(write, log);
  const room = createBodyRoom();
  const stopping = new AbortController();
  const lanes = new Map<string, Lane>();
  /** The names of the destinations, in the order of the config. */
  let order: readonly string[] = [];
  const ending = { ...options, recorder, stopping: stopping.signal };
  const cut = Map.groupBy(await reader.cutCommands(), ({ destination }) => destination);
  // The commands of destinations that are no longer in the config are ended, too.
  const ended = new Map(Array.from(cut, ([name, left]) => [name, endLeftovers(left, ending)]));
  (await prepare(destinations))();

  async function prepare(next: readonly Destination[]): Promise<() => void> {
    const paused = await reader.paused();
    const routes = next.map((destination) => ({ settings: destination, sender: senderOf(destination) }));
    return () => {
      order = next.map(({ name }) => name);
      for (const [name, lane] of lanes)
        if (routes.every(({ settings }) => settings.name !== name)) lane.change(undefined);
      for (const route of routes) {
        const lane = lanes.get(route.settings.name);
        if (lane === undefined) void startLane(route, paused);
        else lane.change(route);
      }
    };
  }

  function senderOf({ name, createSender }: Destination): Sender {
    return createSender(async ({ id }, run) => {
      const message = lanes.get(name)?.rowOf(id);
      if (message === undefined) throw new Error(`The message ${id} is not being sent.`);
      await write([{ entry: "command started", message, run }]);
    });
  }

  async function startLane(route: Route, paused: readonly PausedDestination[]): Promise<void> {
    const { name } = route.settings;
    const lane = createLane({ ...options, ...route, recorder, room });
    lanes.set(name, lane);
    const { reason, since } = paused.find(({ destination }) => destination === name) ?? {};
    if (since !== undefined) lane.setPaused({ reason: reason ?? null, since });
    // A stop does not wait for it: the next start ends what is left.
    if ((await ended.get(name)) !== false) lane.start();
  }

  let recorded = await reader.paused();
  let polling: Promise<void> | undefined;
  let failing = false;
  const timer = setInterval(() => {
    polling ??= adopt().finally(() => (polling = undefined));
  }, POLL_MS);

  /** Turns rows that other processes have enqueued into messages. */
  async function adopt(): Promise<void> {
    try {
      while (!stopping.signal.aborted && (await reader.hasEnqueued()))
        await write([{ entry: "enqueued", at: clock() }]);
      takeStates(await reader.paused());
      failing = false;
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (!failing)
        log.warn(
          { cause: messageOf(error) },
          "messages that other processes enqueued could not be taken over",
        );
      failing = true;
    }
  }

  /** Another node may have paused or resumed a destination. What this one does itself is in its memory first. */
  function takeStates(paused: readonly PausedDestination[]): void {
    const before = new Map(recorded.map((one) => [one.destination, one]));
    const now = new Map(paused.map((one) => [one.destination, one]));
    recorded = paused;
    for (const [name, lane] of lanes) {
      const found = now.get(name);
      if (before.get(name)?.since === found?.since) continue;
      lane.setPaused(found === undefined ? null : { reason: found.reason, since: found.since });
    }
  }

  function laneOf(name: string): Lane {
    const lane = lanes.get(name);
    if (lane !== undefined && lane.activity() !== null) return lane;
    throw unknownDestination(
      name,
      activities().map((one) => one.name),
    );
  }

  async function setState(
    name: string,
    action: "pause" | "resume",
    reason: string | null,
    actor: string,
  ): Promise<void> {
    const lane = laneOf(name);
    const at = clock();
    const state = action === "pause" ? "paused" : "open";
    await write([
      { entry: "destination", name, state, reason, at },
      { entry: "audit", change: { at, actor, action, target: name, reason } },
    ]);
    // After a 410 a pause may wait until it can be written. It must not be written over this.
    recorder.drop((entry) => entry.entry === "destination" && entry.name === name);
    lane.setPaused(action === "pause" ? { reason, since: at } : null);
    log.info({ destination: name, actor }, `the destination is ${state}`);
  }

  function activities(): DestinationActivity[] {
    const found = order.map((name) => lanes.get(name)?.activity() ?? null);
    return found.filter((one) => one !== null);
  }

  let stopped: Promise<void> | undefined;

  async function stopAll(): Promise<void> {
    stopping.abort();
    clearInterval(timer);
    await polling;
    await Promise.all(Array.from(lanes.values(), (lane) => lane.stop()));
    const lost = await recorder.end(RECORD_MS);
    if (lost > 0)
      log.warn(
        { messages: lost },
        "results of attempts could not be recorded, so their messages are sent again",
      );
  }

  return {
    isSending: (row) => lanes.values().some((lane) => lane.isSending(row)),
    destinations: activities,
    pause: (name, reason, actor) => setState(name, "pause", reason, actor),
    resume: (name, actor) => setState(name, "resume", null, actor),
    wake: (name) => lanes.get(name)?.wake(),
    prepare,
    endCommands: () => lanes.forEach((lane) => lane.endCommands()),
    stop: () => (stopped ??= stopAll()),
  };
}
