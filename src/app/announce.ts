import { nameOf } from "../config/location.ts";
import type { OwedCount } from "../engines/reader.ts";
import type { Token } from "../engines/records.ts";
import { messageOf } from "../errors.ts";
import { pathsOf } from "../http/paths.ts";
import type { Log } from "../logging/log.ts";
import type { Provider } from "../providers/provider.ts";
import type { Inbox } from "./open-inbox.ts";

/** What a start has come to. */
export interface Ready {
  readonly url: string;
  /** The address of the page; null if it is off. */
  readonly page: string | null;
  /** Whether somebody can log in to it. */
  readonly hasToken: boolean;
  readonly database: string;
  readonly sources: readonly ReadySource[];
  readonly owed: readonly OwedCount[];
  /** The names of the sources that are not open. */
  readonly paused: readonly string[];
}

export interface ReadySource {
  readonly name: string;
  readonly provider: Provider;
  readonly url: string;
  /** Relative to the inbox folder. */
  readonly handlers: readonly string[];
  /** The destinations that get its events. */
  readonly destinations: readonly string[];
}

interface Started {
  readonly url: string;
  readonly page: string | null;
  readonly inbox: Inbox;
  readonly log: Log;
  readonly stop: AbortSignal;
}

/** A count of owed events stops here, because every start counts them. */
const MAX_COUNTED = 10_000;

/**
 * Says what is served and what is owed, in the log or, for a person, with `onReady`. Counting loads drizzle
 * and takes time, and nothing else waits for it.
 */
export async function announce(
  started: Started,
  onReady: ((ready: Ready) => void) | undefined,
): Promise<void> {
  const { url, page, inbox, log, stop } = started;
  const { config } = inbox.live();
  const { logger } = log;
  const database = nameOf(config.database);
  const sources = sourcesOf(started);
  if (onReady === undefined) {
    for (const { name, provider, destinations, ...rest } of sources) {
      const sends = destinations.length === 0 ? {} : { sends_to: destinations };
      logger.info({ source: name, provider: provider.name, ...rest, ...sends }, "source");
    }
    logger.info({ url, database, page, pid: process.pid }, "listening");
  }
  let owed: readonly OwedCount[] = [];
  let paused: readonly string[] = [];
  let hasToken = false;
  try {
    const reader = await inbox.engine.reader();
    owed = await reader.owedByType(MAX_COUNTED);
    paused = (await reader.sourceStates()).map(({ name }) => name);
    hasToken = (await reader.tokens()).some((token) => isValid(token, Date.now()));
  } catch (error) {
    // A stop closes the database, perhaps while they are being counted.
    if (stop.aborted) return;
    logger.warn({ cause: messageOf(error) }, "the events that are owed could not be counted");
  }
  if (onReady !== undefined) {
    onReady({ url, page, hasToken, database, sources, owed, paused });
  } else if (owed.length > 0) {
    const events = owed.reduce((sum, { count }) => sum + count, 0);
    const areAllPaused = owed.every(({ source }) => paused.includes(source));
    logger.warn(
      { events, owed },
      areAllPaused
        ? "events are owed of sources that are paused. To run what is held or has failed: hookonce resume NAME"
        : "events are owed. To run those that have a handler: hookonce apply",
    );
  }
}

function isValid({ revokedAt, expiresAt }: Token, now: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now);
}

function sourcesOf({ url, inbox }: Started): ReadySource[] {
  const { sources, handlers } = inbox.live();
  return [...sources.values()].map((source) => ({
    name: source.name,
    provider: source.provider,
    url: `${url}${pathsOf(source)[0]}`,
    handlers: handlers.files.filter((file) => file.source === source.handlersOf).map(({ file }) => file),
    destinations: [...new Set(source.forwards.map(({ destination }) => destination))],
  }));
}
