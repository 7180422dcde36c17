import { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { openStore } from "../../src/engines/sqlite/start.ts";
import type { Outcome, Reply } from "../../src/event.ts";
import { policy } from "../../src/inbox/decide.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { redactionOf } from "./redacted-sources.ts";
import type { Contents, Effect, EngineHarness, Failure, KeptDelivery, Store } from "./harness.ts";

const tables = `
create table effects (event_id text, type text, source text, received_at integer, cents integer, note text) strict;
create table never (id integer not null) strict;
create table parents (id integer primary key) strict;
create table children (parent integer references parents (id) deferrable initially deferred) strict;
create table ends (id integer) strict;
create trigger ends before insert on ends begin select raise(rollback, 'the trigger has ended it'); end;`;

const writeEffect = `insert into effects values (:event_id, :type, :source, :received_at,
  coalesce(:payload ->> '$.cents', 0), :headers ->> '$.x-note');`;
const fails = `coalesce(:payload ->> '$.fail', false)`;

export const harness: EngineHarness = {
  module: import.meta.path,
  dialect: {
    sql: {
      writeEffect,
      credit: `${writeEffect}\ninsert into never select null where ${fails};`,
      failAtCommit: `${writeEffect}\ninsert into children select 1 where ${fails};`,
      endTransaction: `${writeEffect}\ninsert into ends select 1 where ${fails};`,
      enqueue: `${writeEffect}
insert into hookonce_outbox (destination, body) values ('mail', :payload), ('mail', 'second');
insert into never select null where ${fails};`,
      changeNothing: "update effects set cents = 0 where :event_id is null;",
      isLarge: ":payload ->> '$.cents' > 10",
      failingCondition: "json_extract('{' || :type, '$') is null",
      unusable: "drop table effects;\nselect 1;\nselect missing from effects;",
    },
    writeEffect(db, { id, type, source, receivedAt, payload, headers }) {
      const cents = (payload as { cents?: number } | null)?.cents ?? 0;
      const note = headers["x-note"] ?? null;
      const values = sql`${id}, ${type}, ${source}, ${receivedAt}, ${cents}, ${note}`;
      (db as BunSQLiteDatabase).run(sql`insert into effects values (${values})`);
    },
    asyncHandlers: false,
  },
  create: () => Promise.resolve(storeAt(join(temporaryFolder("conformance"), "hookonce.db"))),
  at: storeAt,
};

function storeAt(path: string): Store {
  return {
    location: path,
    async open(told = {}) {
      const store = openStore(
        path,
        {
          convertToWal: false,
          rules: [],
          acceptIdChange: false,
          migrations: [{ name: "0001.sql", sql: tables }],
          now: 1,
        },
        { debug() {}, info() {}, warn() {}, error() {} },
      );
      return store.engine({
        policy,
        redactionOf,
        ...told,
        onFatal: (error) => {
          throw error;
        },
        // What a handler does after it has failed is refused, and tested in test/handlers.
        onLateError() {},
        onSyncInCommit() {},
      });
    },
    async contents() {
      using db = new Database(path, { readonly: true, strict: true });
      return contentsOf(db);
    },
    async whileLocked(work) {
      using other = new Database(path, { strict: true });
      other.run("begin immediate");
      try {
        await work();
      } finally {
        other.run("rollback");
      }
    },
    async [Symbol.asyncDispose]() {
      rmSync(dirname(path), { recursive: true, force: true });
    },
  };
}

/** A row of a query, with its columns as they are named here. */
type Row<Columns> = { -readonly [Column in keyof Columns]: Columns[Column] };

function contentsOf(db: Database): Contents {
  const all = <Columns>(text: string): Row<Columns>[] => db.prepare(text).all() as Row<Columns>[];
  const effects = all<Effect>(
    "select event_id eventId, type, source, received_at receivedAt, cents, note from effects order by rowid",
  );
  const events = all<{
    id: number;
    source: string;
    eventId: string;
    type: string;
    outcome: Outcome;
    handler: string | null;
    receivedAt: number;
    deliveries: number;
    lastDeliveryAt: number;
    changedBodies: number;
  }>(
    `select id, source, event_id eventId, type, outcome, handler, received_at receivedAt, deliveries,
       last_delivery_at lastDeliveryAt, changed_bodies changedBodies
     from hookonce_events order by id`,
  );
  const results = new Map(
    all<{
      event: number;
      body: Uint8Array;
      headers: string;
      rowsChanged: number;
      handlerHash: string | null;
      reply: string | null;
    }>(
      `select event, bytes body, headers, rows_changed rowsChanged, handler_hash handlerHash, reply
       from hookonce_results join hookonce_bodies on id = body`,
    ).map(({ event, headers, reply, ...rest }) => [
      event,
      {
        ...rest,
        headers: JSON.parse(headers) as unknown,
        reply: reply === null ? null : (JSON.parse(reply) as Reply),
      },
    ]),
  );
  const failures = all<
    Omit<Failure, "settled" | "retried"> & { settledAt: number | null; nextAt: number | null }
  >(
    `select source, event_id eventId, type, handler, code, error, attempts, deliveries, first_at firstAt,
       last_at lastAt, cast(last_body as text) body, settled_at settledAt, next_at nextAt
     from hookonce_failures order by position, id`,
  );
  const deliveries = all<Omit<KeptDelivery, "changedBody"> & { changedBody: number }>(
    `select event_id eventId, number, at, outcome, changed_body changedBody
     from hookonce_deliveries where number > 0 order by event_id, number`,
  );
  return {
    effects,
    events: events.map(({ id, ...event }) => Object.assign(event, { result: results.get(id) ?? null })),
    failures: failures.map(({ settledAt, nextAt, ...rest }) =>
      Object.assign(rest, { settled: settledAt !== null, retried: nextAt !== null }),
    ),
    deliveries: deliveries.map((one) => Object.assign(one, { changedBody: one.changedBody === 1 })),
    changedBodies: all(
      `select event_id eventId, cast(body as text) body
       from hookonce_changed_bodies join hookonce_events on id = event order by id`,
    ),
    bodies: db.prepare("select count(*) from hookonce_bodies").values()[0]?.[0] as number,
  };
}
