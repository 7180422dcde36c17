import { beforeAll, expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { HandlerCode, Handlers, LoadedHandler } from "../../../src/engines/engine.ts";
import { commitAll, deliver, inWords } from "../../conformance/jobs.ts";
import { openEngine, type OpenEngine } from "../../conformance/open-engine.ts";
import { harness } from "../../conformance/postgres.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

/** Handlers may call functions of the user's migrations. What these do reaches no other event. */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

const FUNCTIONS = `
create or replace function change(name text, value text) returns text language plpgsql as
  $$ begin return set_config(name, value, false); end $$;
create or replace function failing(code text) returns text language plpgsql as
  $$ begin raise exception 'it failed with %', code using errcode = code; end $$;
create table if not exists settings (event text, name text, value text);
create or replace function log_setting() returns trigger language plpgsql as
  $$ begin insert into settings values (new.event, 'at commit', current_setting('synchronous_commit')); return null; end $$;
create table if not exists logged (event text);
drop trigger if exists at_commit on logged;
create constraint trigger at_commit after insert on logged deferrable initially deferred
  for each row execute function log_setting();`;

const TEXTS: Readonly<Record<string, string>> = {
  changes: "select change(:payload ->> 'name', :payload ->> 'value');",
  fails: "insert into settings select :event_id, failing(:payload ->> 'code'), '';",
  nan: "insert into settings select :event_id, ((:payload ->> 'n')::numeric::bigint)::text, '';",
  logs: "insert into logged values (:event_id);",
  asks: "insert into settings select :event_id, 'path', current_setting('search_path');",
};

async function withFunctions(it: OpenEngine) {
  const connection = await connect(JSON.parse(it.store.location) as PostgresTarget);
  await connection.script(FUNCTIONS);
  const loaded = new Map<string, LoadedHandler>();
  for (const [type, text] of Object.entries(TEXTS)) {
    const code: HandlerCode = { language: "sql", file: `handlers/shop/${type}.sql`, hash: "1", text };
    const handler = await it.engine.loadHandler(code);
    if (!("hash" in handler)) throw new Error(JSON.stringify(handler));
    loaded.set(type, handler);
  }
  const handlers: Handlers = { for: (_, type) => loaded.get(type) ?? null, files: [] };
  return {
    rows: (text: string) => connection.read<Record<string, unknown>>(text),
    commit: async (...jobs: ReturnType<typeof deliver>[]) =>
      (await commitAll(it.engine, jobs, handlers)).map((one) => inWords(one)),
    close: () => connection.drop(),
  };
}

const event = (id: string, type: string, payload: object = {}) =>
  deliver(id, { type, body: JSON.stringify({ id, ...payload }) });

describeUnless(missing, "a handler on PostgreSQL that calls a function", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  test(
    "cannot make a commit less durable",
    async () => {
      await using it = await openEngine(harness);
      const shop = await withFunctions(it);
      const change = { name: "synchronous_commit", value: "off" };
      expect(await shop.commit(event("a", "changes", change), event("b", "logs"))).toEqual([
        "processed",
        "processed",
      ]);
      expect(await shop.rows("select name, value from settings")).toEqual([
        { name: "at commit", value: "on" },
      ]);
      await shop.close();
    },
    STARTS_WITHIN_MS,
  );

  test(
    "changes no setting and no role for the next transaction",
    async () => {
      await using it = await openEngine(harness);
      const shop = await withFunctions(it);
      await shop.commit(event("a", "asks"));
      // There are two connections.
      for (let n = 0; n < 6; n++) {
        await shop.commit(event(`path ${n}`, "changes", { name: "search_path", value: "pg_catalog" }));
        await shop.commit(event(`role ${n}`, "changes", { name: "role", value: "pg_monitor" }));
        expect(await shop.commit(event(`asks ${n}`, "asks"))).toEqual(["processed"]);
      }
      expect(await shop.rows("select distinct value from settings where name = 'path'")).toHaveLength(1);
      await shop.close();
    },
    STARTS_WITHIN_MS,
  );

  test(
    "is recorded as failed, whatever code the function raises, and the other events are applied",
    async () => {
      await using it = await openEngine(harness);
      const shop = await withFunctions(it);
      const codes = [
        "08001",
        "08006",
        "25006",
        "28000",
        "53300",
        "57P01",
        "57P03",
        "0A000",
        "40001",
        "55P03",
      ];
      for (const code of codes)
        expect(
          await shop.commit(
            event(`before ${code}`, "logs"),
            event(code, "fails", { code }),
            event(`after ${code}`, "logs"),
          ),
        ).toEqual(["processed", expect.stringContaining("failed"), "processed"]);
      expect(await shop.commit(event("nan", "nan", { n: "NaN" }))).toEqual([
        expect.stringContaining("failed"),
      ]);
      expect(await shop.rows("select event_id from hookonce.failures order by event_id")).toEqual(
        [...codes, "nan"].toSorted().map((id) => ({ event_id: id })),
      );
      // A full disk and no memory are the server's. Only that event is refused.
      for (const code of ["53100", "53200"])
        expect(await shop.commit(event(code, "fails", { code }), event(`after ${code}`, "logs"))).toEqual([
          `refused ${code === "53100" ? "disk_full" : "out_of_memory"}`,
          "processed",
        ]);
      await shop.close();
    },
    STARTS_WITHIN_MS,
  );
});
