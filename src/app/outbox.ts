import type { EngineOptions } from "../engines/engine.ts";
import { messageOf } from "../errors.ts";
import type { Dispatcher } from "../outbox/dispatch.ts";
import { passed } from "../outbox/passed.ts";
import { unknownDestination } from "../outbox/unknown-destination.ts";
import type { OutboxView } from "../outbox/view.ts";
import type { Loaded } from "./live.ts";
import type { Inbox } from "./open-inbox.ts";
import type { SendingOptions } from "./sending.ts";
import type { Services } from "./services.ts";

export interface OutboxOptions extends SendingOptions {
  /** After its abort no attempt begins. Deliveries are still answered. */
  readonly stop: AbortSignal;
}

type OutboxInbox = Pick<Inbox, "engine" | "queue" | "live">;

/** Sends on what the inbox writes. */
export interface Outbox extends OutboxView {
  readonly onMessages: NonNullable<EngineOptions["onMessages"]>;
  start(services: Services, inbox: OutboxInbox): Promise<void>;
  /** Ends the commands that run: another node may run them by now. */
  endCommands(): void;
  /**
   * Prepares a reload. What it resolves to makes the change, once the inbox has what is loaded, and cannot fail.
   *
   * @throws what a read of the database is refused for
   */
  prepare(loaded: Loaded): Promise<() => void>;
}

/** How long to wait after an error before the next try to start, in milliseconds. */
const AFTER_ERROR_MS = 10_000;

/**
 * The code that sends is loaded after the start, and only if there are destinations or messages. Until then, and
 * without them, nothing is being sent.
 */
export function createOutbox(options: OutboxOptions): Outbox {
  const { log, clock, stop } = options;
  let running: Dispatcher | undefined;
  let starting: Promise<Dispatcher | undefined> | undefined;
  let ended: Promise<void> | undefined;
  let opened: OutboxInbox | undefined;
  const ending = new AbortController();
  const { signal } = ending;

  async function load(inbox: OutboxInbox): Promise<Dispatcher | undefined> {
    const reader = await inbox.engine.reader();
    const isNeeded =
      inbox.live().config.destinations.length > 0 ||
      (await reader.hasEnqueued()) ||
      (await reader.depths(1)).some(({ state }) => state === "waiting" || state === "sending");
    if (!isNeeded) return undefined;
    const { startSending } = await import("./sending.ts");
    running = await startSending(options, inbox, reader);
    return running;
  }

  async function loadUntil(inbox: OutboxInbox): Promise<Dispatcher | undefined> {
    let failing = false;
    while (!signal.aborted) {
      try {
        return await load(inbox);
      } catch (error) {
        // A stop closes the database, perhaps while it is being read.
        if (signal.aborted) return undefined;
        if (!failing) log.error({ cause: messageOf(error) }, "messages cannot be sent: hookonce tries again");
        failing = true;
        await passed(AFTER_ERROR_MS, signal);
      }
    }
    return undefined;
  }

  async function loadAgain(dispatcher: Dispatcher | undefined): Promise<Dispatcher | undefined> {
    if (opened === undefined) return dispatcher;
    if (dispatcher === undefined) return loadUntil(opened);
    const { destinationsIn } = await import("./sending.ts");
    (await dispatcher.prepare(destinationsIn(opened.live(), clock)))();
    return dispatcher;
  }

  async function stopAll(): Promise<void> {
    ending.abort();
    await (await starting)?.stop();
  }

  function end(): Promise<void> {
    return (ended ??= stopAll());
  }

  async function sendingTo(name: string): Promise<Dispatcher> {
    const dispatcher = await starting;
    if (dispatcher !== undefined) return dispatcher;
    throw unknownDestination(name, []);
  }

  return {
    onMessages(destinations) {
      for (const name of destinations) running?.wake(name);
    },
    endCommands: () => running?.endCommands(),
    isSending: (row) => running?.isSending(row) ?? false,
    destinations: () => running?.destinations() ?? [],
    pause: async (name, ...rest) => (await sendingTo(name)).pause(name, ...rest),
    resume: async (name, actor) => (await sendingTo(name)).resume(name, actor),
    wake: (name) => running?.wake(name),
    async prepare(loaded) {
      if (running !== undefined) {
        const { destinationsIn } = await import("./sending.ts");
        return running.prepare(destinationsIn(loaded, clock));
      }
      // It is being loaded, perhaps with the earlier destinations, or was not needed.
      return () => void (starting = starting?.then((dispatcher) => loadAgain(dispatcher)));
    },
    async start(services, inbox) {
      opened = inbox;
      starting = loadUntil(inbox);
      // Requests and commands end while deliveries in flight are still answered.
      stop.addEventListener("abort", () => void end());
      await services.start(() => ({ name: "outbox", stop: end }));
    },
  };
}
