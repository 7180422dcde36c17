import type { ConfiguredDestination } from "../../config/destinations.ts";
import type { Retention } from "../../config/retention-schema.ts";
import type { Reader } from "../../engines/reader.ts";
import type { Entry, MatchedSecret } from "../../engines/records.ts";
import type { EventSource } from "../../engines/engine.ts";
import type { DiskUse } from "../../engines/store.ts";
import type { HookonceError, Problem } from "../../errors.ts";
import type { BackgroundJobs } from "../../inbox/background-jobs.ts";
import type { QueueDepth } from "../../inbox/queue.ts";
import type { Counters } from "../../metrics/counters.ts";
import type { Pausing } from "../../inbox/pausing.ts";
import type { OutboxView } from "../../outbox/view.ts";
import type { Refused, RefusedRing } from "../refused.ts";
import type { TryRequest } from "./requests.ts";
import type { OutdatedJson, ServingJson, ShownSecretJson, VerdictJson } from "./shapes.ts";
import type { TryJson } from "./try-shapes.ts";

/** Who reloads, and which sources may be gone although their events are stored. */
export interface ReloadRequest {
  /** The name of a token or of a user of this machine, or what asked. */
  readonly actor: string;
  readonly dropped: readonly string[];
  /** Whether all other nodes on the same database load their folders, too. */
  readonly all?: boolean;
}

/** What came of a reload at another node. */
export interface NodeReloaded {
  readonly name: string;
  /** Why it was refused; null if it was not. */
  readonly problem: string | null;
}

/** What was loaded. */
export interface Reloaded {
  readonly sources: readonly string[];
  /** Relative to the inbox folder. */
  readonly handlers: readonly string[];
  readonly destinations: readonly string[];
  /** Handlers and commands that fail at each run. */
  readonly failing: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The other nodes, if they were to load their folders, too. */
  readonly nodes: readonly NodeReloaded[];
}

/** The inbox as the API sees it: that of this process, or one that is only read. */
export interface AdminInbox {
  readonly reader: () => Promise<Reader>;
  /** By the name under which its events are stored. */
  readonly sources: ReadonlyMap<string, Pick<EventSource, "payloadOf">>;
  readonly described: () => readonly DescribedSource[];
  /** Those of the config. */
  readonly destinations: readonly ConfiguredDestination[];
  /** Null if no `serve` is running. */
  readonly pausing: Pick<Pausing, "pause" | "resume"> | null;
  /** Why what is delivered to a source cannot be held. Undefined if it can. */
  readonly whyNotHeld: (source: string) => HookonceError | undefined;
  /** Null if no `serve` is running. */
  readonly outbox: OutboxView | null;
  /** Null if no `serve` is running. */
  readonly measured: Measured | null;
  /** The file that handles a type of a source, by its stored name; null if there is none. */
  readonly handlerOf: (source: string, type: string) => string | null;
  readonly jobs: BackgroundJobs;
  /** How many events have been delivered since the start. */
  readonly received: () => number;
  readonly refused: RefusedRing;
  /** Asks the doctor about a refused delivery. Undefined if its body was not kept. */
  readonly verdictOf: (refused: Refused) => Promise<VerdictJson | undefined>;
  /** @throws HookonceError `try_running`, or why there is nothing to try */
  readonly tryHandler: (request: TryRequest, signal: AbortSignal) => Promise<TryJson>;
  /**
   * Loads the inbox folder again. Resolves when the next delivery sees what was loaded.
   *
   * @throws HookonceError `reload_refused` with every problem, `shutting_down`, `not_serving`
   */
  readonly reload: (request: ReloadRequest) => Promise<Reloaded>;
  /** Durable once it resolves. @throws HookonceError `not_serving` if the inbox is only read */
  readonly record: (entries: readonly Entry[]) => Promise<void>;
  /**
   * Saves the payload of an event beside the handlers of its source, and never over another file.
   *
   * @returns the file, relative to the inbox folder
   * @throws HookonceError `unknown_source`, `fixture_not_written`
   */
  readonly saveFixture: (source: string, type: string, json: string) => string;
  readonly retention: Retention;
  readonly disk: () => Promise<DiskUse & { readonly database: string }>;
  /** Called with an error that is answered as `internal`, because its message may reveal too much. */
  readonly onError: (error: unknown) => void;
  /** Null if no `serve` is running. */
  readonly serving: {
    readonly url: string;
    readonly startedAt: number;
    /** When its files were read last. */
    readonly loadedAt: () => number;
  } | null;
  /** Whether a running `serve` can store a delivery now. */
  readonly health: () => Promise<Pick<ServingJson, "ready" | "error" | "warnings">>;
  /** The secrets that deliveries have matched since the start. The reader has them up to a minute later. */
  readonly recentMatches: () => readonly MatchedSecret[];
  /** The secrets that have arrived in handshakes. */
  readonly shownSecrets: () => readonly ShownSecretJson[];
  /** The parts of a source's config that differ from those with these hashes. */
  readonly outdated: (
    source: string,
    hashes: Readonly<Record<OutdatedJson, string>>,
    salt: string,
  ) => readonly OutdatedJson[];
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/** What a running `serve` counts in memory. */
export interface Measured {
  readonly counters: Counters;
  readonly depth: () => QueueDepth;
}

/** A source of the config, for people. */
export interface DescribedSource {
  readonly name: string;
  readonly provider: string;
  readonly title: string;
  readonly docs: string;
  readonly url: string;
  readonly handlers: readonly string[];
  /** Where the config says that the type is, in words; null if the preset's rule is used. */
  readonly typePlace: string | null;
  /** As the config names them, such as `env:STRIPE_NEW`. */
  readonly secrets: readonly string[];
}
