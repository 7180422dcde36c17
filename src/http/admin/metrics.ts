import packageJson from "../../../package.json" with { type: "json" };
import type { DestinationDepth } from "../../engines/outbox.ts";
import type { Counter, Counters } from "../../metrics/counters.ts";
import type { Histogram } from "../../metrics/histogram.ts";
import type { Family, Sample } from "./exposition.ts";
import type { AdminInbox, Measured } from "./inbox.ts";

/** What Prometheus is told. A label is never an id or a type: anyone could make up a million of them. */

const OUTCOMES = ["processed", "duplicate", "unhandled", "held", "ignored", "stale", "failed"] as const;
const OWED = ["unhandled", "failed", "held"] as const;
const MESSAGE_STATES = ["waiting", "sending", "dead", "discarded"] as const;
const RESULTS = ["delivered", "failed", "interrupted"] as const;
const SOURCE_STATES = ["open", "held", "refusing", "resuming"] as const;
const DESTINATION_STATES = ["open", "failing", "paused"] as const;

/** Counts stop here: of owed events for each source and type, of messages for each destination and state. */
const CAP = 20_000;

/** Everything, as of now. Reads only indexes, and yields to deliveries after each few milliseconds. */
export async function familiesOf(inbox: AdminInbox, measured: Measured): Promise<readonly Family[]> {
  const sources = inbox.described().map(({ name }) => name);
  return [
    ...(await inboxFamilies(inbox, measured)),
    ...countedFamilies(sources, measured.counters),
    ...(await sourceFamilies(inbox, sources)),
    ...(await destinationFamilies(inbox, measured.counters)),
  ];
}

async function inboxFamilies(inbox: AdminInbox, { depth }: Measured): Promise<Family[]> {
  const { serving } = inbox;
  const { databaseBytes, logBytes, freeBytes } = await inbox.disk();
  const { deliveries, jobs } = depth();
  return [
    gauge("build_info", "1, labeled with the version of hookonce.", [
      { labels: { version: packageJson.version }, value: 1 },
    ]),
    gauge(
      "start_timestamp_seconds",
      "When this serve started, as a Unix timestamp.",
      serving === null ? [] : [sample(serving.startedAt / 1000)],
    ),
    gauge("queue_depth", "Deliveries and jobs that wait to be committed.", [
      { labels: { work: "deliveries" }, value: deliveries },
      { labels: { work: "jobs" }, value: jobs },
    ]),
    gauge("database_size_bytes", "Size of the database file.", [sample(databaseBytes)]),
    gauge("wal_size_bytes", "Size of the write-ahead log.", logBytes === null ? [] : [sample(logBytes)]),
    gauge(
      "disk_free_bytes",
      "Free space on the database's disk.",
      freeBytes === null ? [] : [sample(freeBytes)],
    ),
  ];
}

function countedFamilies(sources: readonly string[], counters: Counters): Family[] {
  const { deliveries, refusals, handlers, commits, syncs, batches } = counters;
  return [
    counter(
      "deliveries_total",
      "Deliveries that were answered, by source and outcome. Each event of a batch counts.",
      both("source", sources, "outcome", OUTCOMES, (source, outcome) => deliveries.of(source, outcome)),
    ),
    counter(
      "refusals_total",
      "Deliveries that were refused and not stored, by source and error code. The source is empty if the path names none.",
      refusedBy(refusals, new Set(["", ...sources])),
    ),
    histogram(
      "handler_duration_seconds",
      "Run times of handlers that succeeded, by source.",
      1_000_000,
      sources.map((source) => ({ labels: { source }, value: handlers.of(source) })),
    ),
    histogram(
      "commit_duration_seconds",
      "Transactions from BEGIN to COMMIT, handlers included, by what they wrote.",
      1000,
      ["deliveries", "jobs"].map((work) => ({ labels: { work }, value: commits.of(work) })),
    ),
    histogram(
      "sync_duration_seconds",
      "Syncs of the write-ahead log to the disk. None in a database of another application, where COMMIT itself syncs.",
      1000,
      [{ labels: {}, value: syncs }],
    ),
    histogram("batch_size", "Deliveries in a transaction.", 1, [{ labels: {}, value: batches }]),
  ];
}

async function sourceFamilies(inbox: AdminInbox, sources: readonly string[]): Promise<Family[]> {
  const reader = await inbox.reader();
  const owed = new Map<string, number>();
  for (const { source, outcome, count } of await reader.owedByType(CAP)) {
    const key = JSON.stringify([source, outcome]);
    owed.set(key, (owed.get(key) ?? 0) + count);
  }
  const seen = new Map((await reader.seen(inbox.clock())).map((one) => [one.source, one.lastDeliveryAt]));
  const states = new Map((await reader.sourceStates()).map(({ name, state }) => [name, state]));
  return [
    gauge(
      "owed_events",
      `Events that are stored and not done, by source and outcome. At most ${CAP} of each type are counted.`,
      both(
        "source",
        sources,
        "outcome",
        OWED,
        (source, outcome) => owed.get(JSON.stringify([source, outcome])) ?? 0,
      ),
    ),
    gauge(
      "last_delivery_timestamp_seconds",
      "When a source last received a delivery that was not refused, as a Unix timestamp.",
      sources.flatMap((source) => {
        const at = seen.get(source);
        return at === undefined ? [] : [{ labels: { source }, value: at / 1000 }];
      }),
    ),
    gauge(
      "source_state",
      "1 for the state that a source is in, else 0.",
      both("source", sources, "state", SOURCE_STATES, (source, state) =>
        (states.get(source) ?? "open") === state ? 1 : 0,
      ),
    ),
  ];
}

async function destinationFamilies(inbox: AdminInbox, { attempts }: Counters): Promise<Family[]> {
  const reader = await inbox.reader();
  const destinations = inbox.destinations.map(({ name }) => name);
  const depths = new Map(
    (await reader.depths(CAP)).map((one) => [JSON.stringify([one.destination, one.state]), one]),
  );
  const paused = new Set((await reader.paused()).map(({ destination }) => destination));
  const activities = new Map((inbox.outbox?.destinations() ?? []).map((one) => [one.name, one]));
  const depthOf = (destination: string, state: string): DestinationDepth | undefined =>
    depths.get(JSON.stringify([destination, state]));
  // Only the memory says that a message to a URL is being sent.
  const sendingTo = (destination: string): number =>
    Math.max(depthOf(destination, "sending")?.count ?? 0, activities.get(destination)?.sending ?? 0);
  const stateOf = (destination: string): (typeof DESTINATION_STATES)[number] =>
    paused.has(destination) || (activities.get(destination)?.paused ?? null) !== null
      ? "paused"
      : activities.get(destination)?.isProbing === true
        ? "failing"
        : "open";
  const now = inbox.clock();
  return [
    gauge(
      "messages",
      `Messages that are not delivered, by destination and state. At most ${CAP} of each are counted. One that is being sent to a URL also counts as waiting.`,
      both("destination", destinations, "state", MESSAGE_STATES, (destination, state) =>
        state === "sending" ? sendingTo(destination) : (depthOf(destination, state)?.count ?? 0),
      ),
    ),
    gauge(
      "oldest_message_age_seconds",
      "Age of the oldest message that waits, by destination. 0 if none waits.",
      destinations.map((destination) => {
        const at = depthOf(destination, "waiting")?.oldestAt ?? now;
        return { labels: { destination }, value: Math.max(0, now - at) / 1000 };
      }),
    ),
    counter(
      "attempts_total",
      "Attempts to send messages, by destination and result.",
      both("destination", destinations, "result", RESULTS, (destination, result) =>
        attempts.of(destination, result),
      ),
    ),
    gauge(
      "destination_state",
      "1 for the state that a destination is in, else 0.",
      both("destination", destinations, "state", DESTINATION_STATES, (destination, state) =>
        stateOf(destination) === state ? 1 : 0,
      ),
    ),
  ];
}

function refusedBy(refusals: Counter, sources: ReadonlySet<string>): Sample<number>[] {
  return Array.from(refusals.entries(), ([source, code, value]) => ({
    labels: { source, code },
    value,
  })).filter(({ labels }) => sources.has(labels.source));
}

/** One sample for each pair, so that a rate is known from the first count on. */
function both<First extends string, Second extends string>(
  firstLabel: string,
  firsts: readonly First[],
  secondLabel: string,
  seconds: readonly Second[],
  valueOf: (first: First, second: Second) => number,
): Sample<number>[] {
  return firsts.flatMap((first) =>
    seconds.map((second) => ({
      labels: { [firstLabel]: first, [secondLabel]: second },
      value: valueOf(first, second),
    })),
  );
}

const sample = (value: number): Sample<number> => ({ labels: {}, value });

const gauge = (name: string, help: string, samples: readonly Sample<number>[]): Family => ({
  type: "gauge",
  name: `hookonce_${name}`,
  help,
  samples,
});

const counter = (name: string, help: string, samples: readonly Sample<number>[]): Family => ({
  type: "counter",
  name: `hookonce_${name}`,
  help,
  samples,
});

const histogram = (
  name: string,
  help: string,
  perUnit: number,
  samples: readonly Sample<Histogram>[],
): Family => ({ type: "histogram", name: `hookonce_${name}`, help, perUnit, samples });
