import type { Config } from "../config/load.ts";
import type { OwedCount } from "../engines/engine.ts";
import { messageOf } from "../errors.ts";
import { pathsOf } from "../http/paths.ts";
import type { Log } from "../logging/log.ts";
import type { Provider } from "../providers/provider.ts";
import type { Source } from "../providers/source.ts";
import type { Inbox } from "./open-inbox.ts";

/** What a start has come to. */
export interface Ready {
  readonly url: string;
  readonly database: string;
  readonly sources: readonly ReadySource[];
  readonly owed: readonly OwedCount[];
}

export interface ReadySource {
  readonly name: string;
  readonly provider: Provider;
  readonly url: string;
  /** Relative to the inbox folder. */
  readonly handlers: readonly string[];
}

interface Started {
  readonly url: string;
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
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
  const { url, config, inbox, log, stop } = started;
  const { logger } = log;
  const sources = sourcesOf(started);
  if (onReady === undefined) {
    for (const { name, provider, ...rest } of sources)
      logger.info({ source: name, provider: provider.name, ...rest }, "source");
    logger.info({ url, database: config.database, pid: process.pid }, "listening");
  }
  let owed: readonly OwedCount[] = [];
  try {
    owed = await (await inbox.engine.reader()).owedByType(MAX_COUNTED);
  } catch (error) {
    // A stop closes the database, perhaps while they are being counted.
    if (stop.aborted) return;
    logger.warn({ cause: messageOf(error) }, "the events that are owed could not be counted");
  }
  if (onReady !== undefined) {
    onReady({ url, database: config.database, sources, owed });
  } else if (owed.length > 0) {
    const events = owed.reduce((sum, { count }) => sum + count, 0);
    logger.warn({ events, owed }, "events are owed. To run those that have a handler: hookonce apply");
  }
}

function sourcesOf({ url, sources, inbox }: Started): ReadySource[] {
  return [...sources.values()].map((source) => ({
    name: source.name,
    provider: source.provider,
    url: `${url}${pathsOf(source)[0]}`,
    handlers: inbox.handlers.files
      .filter((file) => file.source === source.handlersOf)
      .map(({ file }) => file),
  }));
}
