import { hostname } from "node:os";
import { dirname } from "node:path";
import type { Shown } from "../engine.ts";
import { LONGEST_WAIT_MS, type ClaimOptions } from "../outbox.ts";
import { isClaimed } from "./claims.ts";
import type { Limits } from "./connection.ts";
import { destinationLock } from "./locks.ts";
import type { Pool } from "./pool.ts";
import { textOf } from "./sql.ts";
import { rollBack } from "./transaction.ts";
import type { Sent, Value, Wire } from "./wire.ts";

/** This process among those that use the same database. */
export interface Node {
  readonly id: string;
  /** Tells the others what this process has loaded. */
  show(loaded: Shown): void;
  /** Claims a message that is due. */
  claim(row: number, how: ClaimOptions): Promise<"claimed" | "busy" | undefined>;
  release(row: number): Promise<void>;
  /** Tells the others that it is gone. */
  close(): Promise<void>;
}

export interface NodeEvents {
  /** Another node is gone. This one may take over what it did. */
  readonly onGone: () => void;
  /** The others had thought that this process was gone: what it does may be done elsewhere by now. */
  readonly onLost: () => void;
  /** See {@link EngineOptions.onNodeAsked}. */
  readonly onAsked?: ((request: string) => Promise<string>) | undefined;
}

/** In milliseconds. Only tests change it. */
export interface NodePace {
  /** How often a node says that it lives. */
  readonly beatMs: number;
  /** After so long a silence it is thought to be gone. */
  readonly goneMs: number;
}

const PACE: NodePace = { beatMs: 1000, goneMs: 30_000 };

const NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** Of the connections of the pool. */
export const NODE_LIMITS: Limits = { statementMs: 5000, silenceMs: 10_000 };

/** The host and the inbox folder. A process that starts on the same folder takes this name: the last one has ended. */
export const nameOfNode = (beside: string): string => `${hostname()}:${dirname(dirname(beside))}`;

const INSERT = `insert into hookonce.nodes (id, name, started_at, seen_at) values ($1, $2, ${NOW}, ${NOW})`;

/** Makes a row for this process. The caller has a transaction open that may write hookonce's own tables. */
export async function register(wire: Wire, id: string, name: string): Promise<void> {
  await wire.send("delete from hookonce.nodes where name = $1", [name]);
  await wire.send(INSERT, [id, name]);
}

/** The names of the nodes of which something was heard lately. A node whose process was killed is still among them. */
export async function nodesSeen(wire: Wire): Promise<string[]> {
  const rows = await wire.read<{ name: string }>(
    `select name from hookonce.nodes where seen_at >= ${NOW} - ${PACE.goneMs} order by name`,
  );
  return rows.map(({ name }) => name);
}

const BEAT = `
  update hookonce.nodes set seen_at = ${NOW}, version = $2, config_hash = $3, handlers_hash = $4 where id = $1
  returning case when answered is null then asked end`;

const ANSWER = "update hookonce.nodes set answered = $2 where id = $1 and asked = $3";

const SWEEP = `delete from hookonce.nodes where seen_at < ${NOW} - $1`;

/** The commands of nodes that are gone run again. */
const FREE = [
  `update hookonce.messages set state = 'interrupted', run = null
   where state = 'sending' and not ${isClaimed("message", "messages.id")}`,
  "delete from hookonce.claims where not exists (select from hookonce.nodes where id = claims.node)",
] as const;

/** What another transaction has locked is being recorded, and is looked at again. */
const CLAIM = `
  with due as (
    select m.id from hookonce.messages m
    where m.id = $2 and m.state in ('waiting', 'interrupted') and (m.next_at <= $3 or m.next_at > $4)
      and exists (select from hookonce.nodes where id = $1)
    for update skip locked)
  insert into hookonce.claims (kind, key, node) select 'message', id::text, $1 from due
  on conflict (kind, key) do update set node = excluded.node
  where claims.node = excluded.node or not exists (select from hookonce.nodes where id = claims.node)`;

const COUNT = `
  select count(*) from hookonce.claims c join hookonce.nodes n on n.id = c.node
  join hookonce.messages m on m.id = c.key::bigint
  where c.kind = 'message' and m.destination = $1 and m.id <> $2`;

const RELEASE = "delete from hookonce.claims where kind = 'message' and key = $1 and node = $2";

/**
 * Begins to say that this process lives.
 *
 * @param pool closed with the node
 * @param first the id with which it is registered
 */
export function createNode(
  pool: Pool,
  name: string,
  first: string,
  { onGone, onLost, onAsked }: NodeEvents,
  { beatMs, goneMs }: NodePace = PACE,
): Node {
  let id = first;
  let shown: Shown | undefined;
  /** Since when all beats have succeeded, on the monotonic clock. */
  let goodSince = performance.now();
  let isClosed = false;
  let answering = false;
  let beating: Promise<void> | undefined;

  async function beat(): Promise<void> {
    const { version = null, config = null, handlers = null } = shown ?? {};
    const [updated] = await own(pool, [[BEAT, [id, version, config, handlers]]]);
    const asked = updated?.rows[0]?.[0];
    if (typeof asked === "string") void answer(asked);
    if (updated?.count === 0) {
      id = crypto.randomUUID();
      await own(pool, [[INSERT, [id, name]]]);
      onLost();
    }
    // While the server was away, no node could give a sign of life. So it first waits as long as a silence may last.
    if (performance.now() - goodSince < goneMs) return;
    const [swept] = await own(pool, [[SWEEP, [goneMs]]]);
    if ((swept?.count ?? 0) === 0) return;
    await own(
      pool,
      FREE.map((text) => [text]),
    );
    onGone();
  }

  /** At the next sign of life it is answered, or asked again. */
  async function answer(asked: string): Promise<void> {
    if (answering || onAsked === undefined) return;
    answering = true;
    try {
      const answered = await onAsked(asked);
      await own(pool, [[ANSWER, [id, answered, asked]]]);
    } catch {
      // The server is away, which is said elsewhere.
    } finally {
      answering = false;
    }
  }

  const timer = setInterval(() => {
    beating ??= beat()
      // The log says elsewhere that the server is away.
      .catch(() => void (goodSince = performance.now()))
      .finally(() => (beating = undefined));
  }, beatMs);

  return {
    get id() {
      return id;
    },
    show(loaded) {
      shown = loaded;
    },
    async claim(row, { now, destination, most }) {
      return pool.use((wire) =>
        transaction(wire, async () => {
          if (most !== undefined) {
            const lock = destinationLock(destination);
            await wire.send(textOf(lock), lock.values);
            const counted = await wire.send(COUNT, [destination, row]);
            if (Number(counted.rows[0]?.[0]) >= most) return "busy";
          }
          const { count } = await wire.send(CLAIM, [id, row, now, now + LONGEST_WAIT_MS]);
          return count > 0 ? "claimed" : undefined;
        }),
      );
    },
    async release(row) {
      await own(pool, [[RELEASE, [String(row), id]]]);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      await beating;
      // If that fails, the others notice the silence.
      await own(pool, [["delete from hookonce.nodes where id = $1", [id]]]).catch(() => {});
      await pool.close();
    },
  };
}

const own = (
  pool: Pool,
  statements: readonly (readonly [text: string, values?: readonly Value[]])[],
): Promise<readonly Sent[]> =>
  pool.use((wire) =>
    transaction(wire, () => Promise.all(statements.map(([text, values]) => wire.send(text, values)))),
  );

/**
 * Does work in a transaction that need not be durable: if the server forgets a claim in a crash, a message is sent
 * twice, as after any crash.
 */
async function transaction<Result>(wire: Wire, work: () => Promise<Result>): Promise<Result> {
  const begun = [
    wire.send("begin isolation level read committed"),
    wire.send("set local hookonce.own = 'on'"),
    wire.send("set local synchronous_commit = off"),
  ];
  try {
    const result = await work();
    await Promise.all(begun);
    await wire.send("commit");
    return result;
  } catch (error) {
    await rollBack(wire);
    throw error;
  }
}
