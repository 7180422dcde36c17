import { sql } from "drizzle-orm";
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { BATCH_LIMITS } from "../../src/engines/postgres/begin-batch.ts";
import type { Connection } from "../../src/engines/postgres/connection.ts";
import { lock } from "../../src/engines/postgres/locks.ts";
import { createNode, nameOfNode, register } from "../../src/engines/postgres/nodes.ts";
import { createPool, type Pool } from "../../src/engines/postgres/pool.ts";
import { createPostgresEngine } from "../../src/engines/postgres/postgres-engine.ts";
import { createProbe } from "../../src/engines/postgres/probe.ts";
import { createReader, READ_LIMITS } from "../../src/engines/postgres/reader.ts";
import { createServer } from "../../src/engines/postgres/server.ts";
import { textOf } from "../../src/engines/postgres/sql.ts";
import { prepareDatabase } from "../../src/engines/postgres/start.ts";
import { atomically, writeOwn } from "../../src/engines/postgres/transaction.ts";
import { createWipe } from "../../src/engines/postgres/wipe.ts";
import type { Reply } from "../../src/event.ts";
import { policy } from "../../src/inbox/decide.ts";
import { connect, sharedCluster, type Cluster } from "../engines/postgres/cluster.ts";
import type {
  Contents,
  Effect,
  EngineHarness,
  Failure,
  KeptDelivery,
  RecordedEvent,
  Store,
} from "./harness.ts";
import { redactionOf } from "./redacted-sources.ts";

const tables = `
create table effects (event_id text, type text, source text, received_at bigint, cents integer, note text,
  seq bigint generated always as identity);
create table never (id integer not null);
create table parents (id integer primary key);
create table children (parent integer references parents (id) deferrable initially deferred);`;

const writeEffect = `insert into effects values (:event_id, :type, :source, :received_at,
  coalesce((:payload ->> 'cents')::int, 0), :headers ->> 'x-note');`;
const fails = `coalesce((:payload ->> 'fail')::boolean, false)`;

/** A database with hookonce's tables, and connections to it. */
interface Prepared extends Pools {
  readonly target: PostgresTarget;
  /** For the suite's own statements. */
  readonly connection: Connection;
}

interface Pools {
  readonly lanes: Pool;
  readonly reads: Pool;
}

/**
 * Those that no test uses. To migrate one takes the processors 300 ms, to copy one 100, to empty one 5, and new
 * connections prepare each statement again: 50 ms a test.
 */
const unused: Prepared[] = [];

function poolsOf(target: PostgresTarget): Pools {
  const server = createServer(target);
  return { lanes: createPool(server, 2, BATCH_LIMITS), reads: createPool(server, 3, READ_LIMITS) };
}

/**
 * A pool whose connections stay open when it is closed. What a failed test has left must not write for the next one.
 */
function borrowed(pool: Pool): Pool {
  const used = new Set<Promise<unknown>>();
  let isClosed = false;
  return {
    use(work) {
      if (isClosed) return Promise.reject(new Error("the engine is closed"));
      const result = pool.use(work);
      used.add(result);
      return result.finally(() => used.delete(result));
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(used);
    },
  };
}

async function create(cluster: Cluster): Promise<PostgresTarget> {
  const target = await cluster.database();
  const plan = {
    convertToWal: false,
    rules: [],
    acceptIdChange: false,
    migrations: [{ name: "0001.sql", sql: tables }],
    now: 1,
  };
  await prepareDatabase(createServer(target), plan, { debug() {}, info() {}, warn() {}, error() {} });
  return target;
}

async function prepare(): Promise<Prepared> {
  const target = await create(await sharedCluster());
  const connection = await connect(target);
  await connection.script(EMPTYING);
  return { target, connection, ...poolsOf(target) };
}

/** A store on another server than that of the whole test. */
export async function createStoreOn(cluster: Cluster): Promise<Store> {
  return storeAt(JSON.stringify(await create(cluster)));
}

/** Makes a function that removes what was written, after it has ended what a killed process has left. */
const EMPTYING = `
create schema suite;
do $do$
declare
  removals text;
begin
  select string_agg(format('delete from %I.%I;', schemaname, tablename), ' ') into removals from pg_tables
  where schemaname in ('hookonce', 'public') and tablename not like '%migrations';
  select removals || string_agg(format('perform setval(%L, 1, false);', format('%I.%I', schemaname, sequencename)), ' ')
  into removals from pg_sequences where schemaname in ('hookonce', 'public');
  execute format('create function suite.empty() returns void language plpgsql as $f$ begin
    perform pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state <> ''idle'';
    perform set_config(''hookonce.own'', ''on'', true);
    %s end $f$', removals);
end $do$`;

export const harness: EngineHarness = {
  module: import.meta.path,
  dialect: {
    sql: {
      writeEffect,
      credit: `${writeEffect}\ninsert into never select null where ${fails};`,
      failAtCommit: `${writeEffect}\ninsert into children select 1 where ${fails};`,
      endTransaction: null,
      enqueue: `${writeEffect}
insert into hookonce.outbox (destination, body) values ('mail', :payload), ('mail', 'second');
insert into never select null where ${fails};`,
      changeNothing: "update effects set cents = 0 where :event_id is null;",
      isLarge: "(:payload ->> 'cents')::int > 10",
      failingCondition: "('{' || :type)::jsonb is null",
      unusable: "drop table effects;\nselect 1;\nselect missing from effects;",
    },
    async writeEffect(db, { id, type, source, receivedAt, payload, headers }) {
      const cents = (payload as { cents?: number } | null)?.cents ?? 0;
      const note = headers["x-note"] ?? null;
      const values = sql`${id}, ${type}, ${source}, ${receivedAt}, ${cents}, ${note}`;
      await (db as PgRemoteDatabase).execute(sql`insert into effects values (${values})`);
    },
    asyncHandlers: true,
  },
  async create() {
    const prepared = unused.pop() ?? (await prepare());
    const { target, connection, lanes, reads } = prepared;
    return {
      ...storeAt(JSON.stringify(target), () => ({
        lanes: borrowed(lanes),
        reads: { ...reads, close: () => Promise.resolve() },
      })),
      contents: () => contentsOf(connection),
      async [Symbol.asyncDispose]() {
        await connection.send("select suite.empty()");
        unused.push(prepared);
      },
    };
  },
  at: (location) => storeAt(location),
};

function storeAt(location: string, pools = () => poolsOf(JSON.parse(location) as PostgresTarget)): Store {
  const target = JSON.parse(location) as PostgresTarget;
  const connected = async <Result>(work: (connection: Connection) => Promise<Result>): Promise<Result> => {
    const connection = await connect(target);
    try {
      return await work(connection);
    } finally {
      await connection.drop();
    }
  };
  return {
    location,
    async open(told = {}) {
      const { lanes, reads } = pools();
      const id = crypto.randomUUID();
      const name = nameOfNode(target.beside);
      await lanes.use((wire) =>
        atomically(wire, async () => {
          await writeOwn(wire);
          await register(wire, id, name);
        }),
      );
      const node = createNode(lanes, name, id, { onGone() {}, onLost() {} });
      const reader = createReader(reads, node);
      return createPostgresEngine({
        policy,
        redactionOf,
        ...told,
        beside: target.beside,
        target,
        pool: lanes,
        node,
        reader: () => Promise.resolve(reader),
        probe: createProbe(lanes),
        wipe: createWipe(createServer(target)),
        close: () => reads.close(),
        onFatal: (error) => {
          throw error;
        },
        // What a handler does after it has failed is refused, and tested in test/handlers.
        onLateError() {},
      });
    },
    contents: () => connected(contentsOf),
    whileLocked: (work) =>
      connected(async (connection) => {
        const baton = lock("baton");
        await connection.send("begin");
        await connection.send(textOf(baton), baton.values);
        try {
          await work();
        } finally {
          await connection.send("rollback");
        }
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const bytes = (value: Uint8Array): Uint8Array => new Uint8Array(value);

async function contentsOf(connection: Connection): Promise<Contents> {
  const all = <Row extends object>(text: string): Promise<Row[]> => connection.read<Row>(text);
  const effects = await all<Effect>(
    `select event_id as "eventId", type, source, received_at as "receivedAt", cents, note from effects order by seq`,
  );
  const events = await all<Omit<RecordedEvent, "result"> & { id: number }>(
    `select id, source, event_id as "eventId", type, outcome, handler, received_at as "receivedAt", deliveries,
       last_delivery_at as "lastDeliveryAt", changed_bodies as "changedBodies" from hookonce.events order by id`,
  );
  const stored = await all<{
    event: number;
    body: Uint8Array;
    headers: string;
    rowsChanged: number;
    handlerHash: string | null;
    reply: string | null;
  }>(
    `select event, bytes as body, headers, rows_changed as "rowsChanged", handler_hash as "handlerHash", reply
     from hookonce.results join hookonce.bodies on id = body`,
  );
  const results = new Map(
    stored.map(({ event, headers, reply, body, ...rest }) => [
      event,
      {
        ...rest,
        body: bytes(body),
        headers: JSON.parse(headers) as unknown,
        reply: reply === null ? null : (JSON.parse(reply) as Reply),
      },
    ]),
  );
  const failures = await all<
    Omit<Failure, "settled" | "retried"> & { settledAt: number | null; nextAt: number | null }
  >(
    `select source, event_id as "eventId", type, handler, code, error, attempts, deliveries, first_at as "firstAt",
       last_at as "lastAt", convert_from(last_body, 'UTF8') as body, settled_at as "settledAt", next_at as "nextAt"
     from hookonce.failures order by position, id`,
  );
  const deliveries = await all<KeptDelivery>(
    `select event_id as "eventId", number, at, outcome, changed_body as "changedBody"
     from hookonce.deliveries where number > 0 order by event_id, number`,
  );
  const changedBodies = await all<{ eventId: string; body: string }>(
    `select event_id as "eventId", convert_from(body, 'UTF8') as body
     from hookonce.changed_bodies join hookonce.events on id = event order by id`,
  );
  const [count] = await all<{ bodies: number }>("select count(*) as bodies from hookonce.bodies");
  return {
    effects,
    events: events.map(({ id, ...event }) => Object.assign(event, { result: results.get(id) ?? null })),
    failures: failures.map(({ settledAt, nextAt, ...rest }) =>
      Object.assign(rest, { settled: settledAt !== null, retried: nextAt !== null }),
    ),
    deliveries,
    changedBodies,
    bodies: count?.bodies ?? 0,
  };
}
