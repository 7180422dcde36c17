import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import packageJson from "../../../package.json" with { type: "json" };
import { percentileUs } from "../../engines/handler-times.ts";
import type { ServingNode } from "../../engines/nodes.ts";
import type { Reader } from "../../engines/reader.ts";
import type { Rollup } from "../../engines/rollups.ts";
import { HookonceError } from "../../errors.ts";
import { keyOfFile } from "../../handlers/look-up.ts";
import { conditionsOf, type Condition } from "../../inbox/conditions.ts";
import { isSilent } from "../../inbox/node-differences.ts";
import type { Refused } from "../refused.ts";
import { destinationsJson } from "./destination-json.ts";
import type { AdminInbox, DescribedSource } from "./inbox.ts";
import type { NodeJson } from "./node-shapes.ts";
import { outdatedQuery, refusedQuery, rollupsQuery, shownSecretsQuery } from "./requests.ts";
import { sourceStateJson } from "./source-state-json.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type {
  ConditionJson,
  Counts,
  DiskJson,
  List,
  OutdatedJson,
  RefusedJson,
  RetentionJson,
  RollupJson,
  ServingJson,
  ShownSecretJson,
  SourceJson,
  SourceState,
  StatusJson,
} from "./shapes.ts";

/** A count of owed events stops here: no page counts all rows. */
const OWED_CAP = 10_000;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** How far back the rollups go without `since`, in milliseconds. */
const DEFAULT_RANGE = { minute: HOUR, hour: 2 * DAY, day: 90 * DAY } as const;

/** The state of the inbox: counters, and what was refused. */
export function createStatusRoutes(inbox: AdminInbox) {
  const verdict = oneAtATime(inbox.verdictOf);
  return new Hono<AdminEnv>()
    .get("/api/status", needs("read"), async (c) => {
      const { name, scopes } = c.get("actor");
      return c.json({ ...(await statusOf(inbox)), actor: { name, scopes } } satisfies StatusJson);
    })
    .get("/api/rollups", needs("read"), zValidator("query", rollupsQuery, refuseRequest), async (c) => {
      const { source, by, since } = c.req.valid("query");
      const until = inbox.clock();
      const range = { since: since ?? until - DEFAULT_RANGE[by], until, source };
      const items = await (await inbox.reader()).rollups(by, range);
      return c.json({ items: items.map(rollupJson), next: null } satisfies List<RollupJson>);
    })
    .get("/api/shown-secrets", needs("steer"), zValidator("query", shownSecretsQuery, refuseRequest), (c) => {
      const { source } = c.req.valid("query");
      const items = inbox.shownSecrets().filter((one) => source === undefined || one.source === source);
      return c.json({ items, next: null } satisfies List<ShownSecretJson>);
    })
    .get("/api/outdated", needs("steer"), zValidator("query", outdatedQuery, refuseRequest), (c) => {
      const { source, salt, ...hashes } = c.req.valid("query");
      const items = inbox.outdated(source, hashes, salt);
      return c.json({ items, next: null } satisfies List<OutdatedJson>);
    })
    .get("/api/refused", needs("read"), zValidator("query", refusedQuery, refuseRequest), async (c) => {
      const { source, id, limit, body, verdict: asked } = c.req.valid("query");
      const { refused } = inbox;
      const listed =
        id === undefined
          ? refused.list(source, limit)
          : refused.list(source, Infinity).filter((one) => one.id === id);
      const items: RefusedJson[] = [];
      for (const one of listed) {
        const json = refusedJson(one, body === "true");
        items.push(asked === "true" ? { ...json, verdict: (await verdict(one)) ?? null } : json);
      }
      return c.json({ items, next: null } satisfies List<RefusedJson>);
    });
}

async function statusOf(inbox: AdminInbox): Promise<Omit<StatusJson, "actor">> {
  const now = inbox.clock();
  const reader = await inbox.reader();
  const minutes = await reader.rollups("minute", { since: now - HOUR, until: now });
  const [owed, seen, matched, states] = await Promise.all([
    reader.owedByType(OWED_CAP),
    reader.seen(now),
    reader.matchedSecrets(),
    reader.sourceStates(),
  ]);
  const stateOf = new Map(states.map(({ name, state }) => [name, state]));
  const lastOf = new Map(seen.map(({ source, lastDeliveryAt }) => [source, lastDeliveryAt]));
  const matches = [...matched, ...inbox.recentMatches()];
  const matchOf = new Map(matches.map(({ source, secret, at }) => [JSON.stringify([source, secret]), at]));
  const { eventTypes } = await import("../../providers/event-types.ts");
  const described = inbox.described();
  const disk = await inbox.disk();
  const { found } = await conditionsOf({
    reader,
    sources: described.map(({ name }) => name),
    freeBytes: disk.freeBytes,
    now,
    // Without a serve nothing can arrive, and no source is silent.
    startedAt: inbox.serving?.startedAt ?? now,
  });
  return {
    version: packageJson.version,
    now,
    serving: await servingJson(inbox),
    conditions: found.map(conditionJson),
    sources: described.map((source) => {
      const own = minutes.filter((rollup) => rollup.source === source.name);
      const types = eventTypes.get(source.provider)?.types ?? [];
      const state = stateOf.get(source.name) ?? "open";
      return sourceJson(source, state, types, own, lastOf.get(source.name) ?? null, (secret) =>
        matchOf.get(JSON.stringify([source.name, secret])),
      );
    }),
    paused: states.map((one) => sourceStateJson(one, now)),
    destinations: await destinationsJson(inbox),
    owed: owed.map(({ source, type, outcome, count, capped }) => {
      const handler = inbox.handlerOf(source, type);
      return { source, type, outcome, count, capped, handler };
    }),
    today: await countsOfLastDay(inbox, now),
    disk: diskJson(disk),
    retention: await retentionJson(inbox, reader),
    nodes: (await reader.nodes()).map(nodeJson),
  };
}

function nodeJson(node: ServingNode): NodeJson {
  const { name, version, config, handlers, startedAt, seenAt } = node;
  const times = { started_at: startedAt, last_seen_at: seenAt };
  return { name, version, config, handlers, ...times, silent: isSilent(node) };
}

function conditionJson({ subject, ...rest }: Condition): ConditionJson {
  const { alert, source = null, handler = null, destination = null } = subject;
  return { alert, source, handler, destination, ...rest };
}

async function servingJson({ serving, health }: AdminInbox): Promise<ServingJson | null> {
  if (serving === null) return null;
  const { url, startedAt, loadedAt } = serving;
  return { url, started_at: startedAt, loaded_at: loadedAt(), ...(await health()) };
}

async function retentionJson(
  { retention: { payloadsMs, maxBytes } }: AdminInbox,
  reader: Reader,
): Promise<RetentionJson> {
  const { count, lastAt } = await reader.discardedByRetention();
  const { usedBytes } = await reader.space();
  return {
    payloads_ms: payloadsMs,
    max_bytes: maxBytes,
    used_bytes: usedBytes,
    discarded: count,
    last_discarded_at: lastAt,
  };
}

function diskJson({
  database,
  databaseBytes,
  logBytes,
  freeBytes,
}: Awaited<ReturnType<AdminInbox["disk"]>>): DiskJson {
  return { database, database_bytes: databaseBytes, log_bytes: logBytes, free_bytes: freeBytes };
}

/** Whole hours, and the minutes of this one: a clock that was ahead may have left later minutes in it. */
async function countsOfLastDay(inbox: AdminInbox, now: number): Promise<Counts> {
  const reader = await inbox.reader();
  const thisHour = Math.floor(now / HOUR) * HOUR;
  const hours = await reader.rollups("hour", { since: thisHour - DAY + HOUR, until: thisHour - 1 });
  const minutes = await reader.rollups("minute", { since: thisHour, until: now });
  const counts = sumOf([...hours, ...minutes]);
  // A refusal is written up to a minute later, and people who set up a source look within that minute.
  return { ...counts, refused: counts.refused + inbox.refused.countNow() };
}

function sumOf(rollups: readonly Rollup[]): Counts {
  const sum = {
    processed: 0,
    duplicate: 0,
    unhandled: 0,
    ignored: 0,
    stale: 0,
    held: 0,
    failed: 0,
    refused: 0,
  };
  for (const rollup of rollups)
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += rollup[name];
  return sum;
}

/**
 * @param types of its provider that are known
 * @param minutes of this source
 */
function sourceJson(
  { name, provider, title, docs, url, handlers, secrets }: DescribedSource,
  state: SourceState,
  types: readonly string[],
  minutes: readonly Rollup[],
  lastDeliveryAt: number | null,
  matchedAt: (secret: string) => number | undefined,
): SourceJson {
  const { refused: _refused, ...received } = sumOf(minutes);
  return {
    name,
    state,
    provider,
    title,
    docs,
    url,
    handlers,
    prefix_handlers: handlers.filter((file) => isPrefix(file, types)),
    last_delivery_at: lastDeliveryAt,
    last_hour: Object.values(received).reduce((sum, count) => sum + count, 0),
    p95_us: percentileUs(timesOf(minutes), 0.95),
    secrets: secrets.map((secret) => ({ name: secret, matched_at: matchedAt(secret) ?? null })),
  };
}

function isPrefix(file: string, types: readonly string[]): boolean {
  const key = keyOfFile(file).replace(/^[^/]+\//, "");
  return !types.includes(key) && types.some((type) => type.startsWith(`${key}.`));
}

function timesOf(rollups: readonly Rollup[]): number[] {
  const sum: number[] = [];
  for (const { handlerTimes } of rollups)
    for (const [at, count] of handlerTimes.entries()) sum[at] = (sum[at] ?? 0) + count;
  return sum;
}

function rollupJson({ handlerTimes, ...counts }: Rollup): RollupJson {
  return { ...counts, p50_us: percentileUs(handlerTimes, 0.5), p95_us: percentileUs(handlerTimes, 0.95) };
}

function refusedJson({ receivedAt, body, ...rest }: Refused, withBody: boolean): RefusedJson {
  const missing = typeof body === "string" ? body : null;
  return {
    ...rest,
    received_at: receivedAt,
    body: typeof body === "string" || !withBody ? null : Buffer.from(body).toString("base64"),
    body_missing: missing,
  };
}

/** A verdict can take a second of work, so there is one at a time. */
function oneAtATime<Given, Found>(work: (given: Given) => Promise<Found>): (given: Given) => Promise<Found> {
  let busy = false;
  return async (given) => {
    if (busy) throw new HookonceError("overloaded", "The doctor is looking at another delivery. Try again.");
    busy = true;
    try {
      return await work(given);
    } finally {
      busy = false;
    }
  };
}
