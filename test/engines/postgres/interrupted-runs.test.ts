import { beforeAll, expect, test } from "bun:test";
import { markerPathOf, openMarker, type Marker } from "../../../src/engines/marker.ts";
import { openStore } from "../../../src/engines/postgres/open.ts";
import type { SourceRule } from "../../../src/engines/store.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

const shop: SourceRule = {
  name: "shop",
  provider: "unsigned",
  eventIdRule: "body:$.id",
  earlierRules: [],
  retryWindowMs: 0,
  holdAfter: 2,
};

/** A node that starts after its process has ended during the run of an event. */
async function newNode() {
  const target = await (await sharedCluster()).database();
  const connection = await connect(target);
  const rows = (text: string) => connection.read<Record<string, unknown>>(text);
  return {
    rows,
    async startAfterEndDuring(
      eventId: string,
      body: Uint8Array | string = Buffer.from("{}"),
    ): Promise<string[]> {
      const said: string[] = [];
      const log = {
        debug() {},
        info() {},
        warn: (_: object, text: string) => void said.push(text),
        error: (_: object, text: string) => void said.push(text),
      };
      const marker = openMarker(markerPathOf(target.beside)) as Marker;
      marker.begin({
        source: "shop",
        eventId,
        type: "paid",
        handler: "handlers/shop/paid.ts",
        handlerHash: "1",
        receivedAt: 1000,
        headersJson: "{}",
        body,
      });
      const plan = { convertToWal: false, rules: [shop], acceptIdChange: false, migrations: [], now: 2000 };
      (await openStore(target, plan, log)).close();
      return said.filter((text) => /ended|paused/.test(text));
    },
    [Symbol.asyncDispose]: () => connection.drop(),
  };
}

describeUnless(missing, "a start on PostgreSQL after the process was killed", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  test(
    "blames a handler at the second time, and pauses its source after as many as hold_after says",
    async () => {
      await using node = await newNode();
      expect(await node.startAfterEndDuring("one")).toEqual([
        "hookonce ended while this handler ran: the event runs again, alone in its transaction",
      ]);
      expect(await node.rows("select event_id, ends, code from hookonce.interrupted_runs")).toEqual([
        { event_id: "one", ends: 1, code: null },
      ]);
      expect((await node.startAfterEndDuring("one"))[0]).toStartWith("the process ended again while this");
      expect(await node.rows("select event_id, code, settled_at from hookonce.failures")).toEqual([
        { event_id: "one", code: "handler_died", settled_at: null },
      ]);
      // The count is that of the transactions before.
      expect(await node.rows("select name, failures from hookonce.failing_sources")).toEqual([
        { name: "shop", failures: 1 },
      ]);
      await node.startAfterEndDuring("two");
      expect((await node.startAfterEndDuring("two")).at(-1)).toContain("paused the source");
      expect(await node.rows("select name, state from hookonce.source_states")).toEqual([
        { name: "shop", state: "held" },
      ]);
      expect(await node.rows("select * from hookonce.failing_sources")).toEqual([]);
      expect(await node.rows("select action, target from hookonce.audit")).toEqual([
        { action: "pause", target: "shop" },
      ]);
    },
    STARTS_WITHIN_MS,
  );

  test("keeps of an owed event of a batch its own part alone", async () => {
    await using node = await newNode();
    await node.startAfterEndDuring("one", '{"id":"one"}');
    await node.rows("select set_config('hookonce.own', 'on', false)");
    await node.rows(
      `insert into hookonce.events (id, source, event_id, type, received_at, outcome, last_delivery_at)
       values (101, 'shop', 'one', 'paid', 1, 'unhandled', 1), (102, 'shop', 'two', 'paid', 1, 'unhandled', 1)`,
    );
    await node.rows(
      `insert into hookonce.bodies (id, received_at, headers, bytes, sha256)
       values (101, 1, '{}', '[{"id":"one"},{"id":"two"}]', '')`,
    );
    await node.rows("insert into hookonce.results (event, body) values (101, 101), (102, 101)");
    await node.startAfterEndDuring("one", '{"id":"one"}');
    expect(
      await node.rows(
        "select convert_from(last_body, 'UTF8') as body, element, event from hookonce.failures",
      ),
    ).toEqual([{ body: '{"id":"one"}', element: true, event: 101 }]);
  });
});
