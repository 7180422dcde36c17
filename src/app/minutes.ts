import type { Entry, MatchedSecret } from "../engines/records.ts";
import { messageOf } from "../errors.ts";
import type { Delivery } from "../event.ts";
import type { RefusedRing } from "../http/refused.ts";
import type { Source } from "../providers/source.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";

export interface MinuteOptions extends Pick<OpenInboxOptions, "log" | "clock"> {
  readonly refused: Pick<RefusedRing, "takeCounts">;
  /** How often it writes, in milliseconds. Only tests change it. */
  readonly everyMs?: number;
}

/** Finds out which of its secrets a source's deliveries are signed with. */
export interface MatchedSecrets {
  readonly note: (source: Pick<Source, "name" | "matchedSecret">, delivery: Delivery) => void;
  /** Since the start. They are written up to a minute later. */
  readonly recent: () => readonly MatchedSecret[];
}

/** To find the secret, a delivery is verified once more. Only small ones are. In bytes. */
const MAX_VERIFIED_AGAIN = 64 * 1024;

/** How long a stop waits for another process that holds the write lock, in milliseconds. */
const MAX_STOP_MS = 1000;

/** How many entries wait for a disk that is full. */
const MAX_WAITING = 10_000;

/**
 * Writes once a minute what is counted in memory: a refusal never writes, because anyone can cause one. Also
 * adds the minutes up to hours and days. A stop writes the rest.
 */
export async function startMinutes(
  services: Services,
  { queue, live }: Pick<Inbox, "queue" | "live">,
  { refused, log, clock, everyMs = 60_000 }: MinuteOptions,
): Promise<MatchedSecrets> {
  /** One delivery of each source is looked at in a minute. */
  const looked = new Set<string>();
  const recent = new Map<string, MatchedSecret>();
  let waiting: Entry[] = [];
  let writing: Promise<void> = Promise.resolve();
  let failing = false;
  const stopping = new AbortController();

  async function match(source: Pick<Source, "name" | "matchedSecret">, delivery: Delivery): Promise<void> {
    // As they are while the source is: a reload may change them.
    const names = live().config.sources.find(({ name }) => name === source.name)?.secretNames;
    const index = await source.matchedSecret(delivery);
    const secret = index === undefined ? undefined : names?.[index];
    if (secret === undefined) return;
    const matched = { source: source.name, secret, at: delivery.receivedAt };
    recent.set(JSON.stringify([source.name, secret]), matched);
    waiting.push({ entry: "secret", ...matched });
  }

  async function write(): Promise<void> {
    const now = clock();
    looked.clear();
    for (const [source, count] of refused.takeCounts())
      waiting.push({ entry: "refused", source, at: now, count });
    const entries = waiting.slice(-MAX_WAITING);
    waiting = [];
    try {
      const all: Entry[] = [...entries, { entry: "rollups", at: now }];
      await queue.write({ kind: "record", entries: all }, stopping.signal);
      failing = false;
    } catch (error) {
      waiting = [...entries, ...waiting];
      if (!failing) log.warn({ cause: messageOf(error) }, "the counters of this minute could not be written");
      failing = true;
    }
  }

  const writeNext = (): Promise<void> => (writing = writing.then(write));
  const timer = setInterval(() => void writeNext(), everyMs);
  await services.start(() => ({
    name: "minutes",
    stop() {
      clearInterval(timer);
      setTimeout(() => stopping.abort(), MAX_STOP_MS).unref();
      return writeNext();
    },
  }));
  return {
    note(source, delivery) {
      if (looked.has(source.name) || delivery.body.length > MAX_VERIFIED_AGAIN) return;
      looked.add(source.name);
      // What a key server does not answer shows in the deliveries themselves.
      match(source, delivery).catch(() => {});
    },
    recent: () => [...recent.values()],
  };
}
