import type { CommandRun, CutCommand, OutboxReader } from "../engines/outbox.ts";
import { messageOf } from "../errors.ts";
import { createBodyRoom } from "./body-room.ts";
import { createLane, type Lane, type LaneSettings } from "./lane.ts";
import { endLeftovers, type LeftoverOptions } from "./leftovers.ts";
import type { OutboxLog } from "./log.ts";
import type { ReadsOf } from "./outgoing.ts";
import { createRecorder, type WriteEntries } from "./recorder.ts";
import type { OutgoingMessage, Sender } from "./sender.ts";
import { unknownDestination } from "./unknown-destination.ts";
import type { OutboxView } from "./view.ts";

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
}

/** Sends messages on, until it is stopped. */
export interface Dispatcher extends OutboxView {
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
  for (const destination of destinations) {
    const sender = destination.createSender(async ({ id }, run) => {
      const message = lanes.get(destination.name)?.rowOf(id);
      if (message === undefined) throw new Error(`The message ${id} is not being sent.`);
      await write([{ entry: "command started", message, run }]);
    });
    lanes.set(destination.name, createLane({ ...options, settings: destination, sender, recorder, room }));
  }
  for (const { destination, reason, since } of await reader.paused())
    lanes.get(destination)?.setPaused({ reason, since });

  const ending = { ...options, recorder, stopping: stopping.signal };
  const cut = Map.groupBy(await reader.cutCommands(), ({ destination }) => destination);
  for (const [name, lane] of lanes) void startAfter(cut.get(name) ?? [], lane);
  // The commands of destinations that are no longer in the config are ended, too.
  for (const [name, left] of cut) if (!lanes.has(name)) void endLeftovers(left, ending);

  /** A stop does not wait for it: the next start ends what is left. */
  async function startAfter(left: readonly CutCommand[], lane: Lane): Promise<void> {
    if (await endLeftovers(left, ending)) lane.start();
  }

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

  function laneOf(name: string): Lane {
    const lane = lanes.get(name);
    if (lane !== undefined) return lane;
    throw unknownDestination(name, [...lanes.keys()]);
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
    destinations: () => Array.from(lanes.values(), (lane) => lane.activity()),
    pause: (name, reason, actor) => setState(name, "pause", reason, actor),
    resume: (name, actor) => setState(name, "resume", null, actor),
    wake: (name) => lanes.get(name)?.wake(),
    stop: () => (stopped ??= stopAll()),
  };
}
