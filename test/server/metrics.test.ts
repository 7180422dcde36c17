import { describe, expect, test } from "bun:test";
import { createAccess, hashOf, randomToken, type StoredToken } from "../../src/http/admin/access.ts";
import { createListenerApp } from "../../src/http/admin/listener.ts";
import { createAdminApp } from "../../src/http/admin/routes.ts";
import type { Scope } from "../../src/http/admin/shapes.ts";
import { createCounters } from "../../src/metrics/counters.ts";
import { needsCommand, testUnless } from "../crash/requirements.ts";
import { adminInbox } from "../support/admin-inbox.ts";
import { readExposition, valueOf, type Series } from "../support/exposition.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const source = (name: string, more = ""): string => `
[sources.${name}]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
${more}
`;

const handlers = {
  "migrations/0001_paid.sql": "create table paid (id text);",
  "handlers/shop/paid.sql": "insert into paid values (:event_id);",
  "handlers/shop/broken.sql": "insert into paid select json_extract('no JSON', '$');",
};

async function scrape(inbox: TestInbox): Promise<readonly Series[]> {
  const answer = await inbox.api("/metrics");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return readExposition(await answer.text());
}

async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isDone())) await Bun.sleep(5);
}

const event = (id: number, type: string): string => JSON.stringify({ event_id: `${type} ${id}`, type });

const OUTCOMES = ["processed", "duplicate", "unhandled", "held", "ignored", "stale", "failed"];

test("Metrics scraped under load equal the tables' counts", async () => {
  let arrived = 0;
  using receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(null, { status: arrived++ % 4 === 0 ? 500 : 200 }),
  });
  await using inbox = await testInbox({
    config: `${source("shop", 'forward = ["app"]')}${source("other", 'unhandled = "ignore"')}${source("third")}
[destinations.app]
url = "http://127.0.0.1:${receiver.port}/"
sign = "none"
[destinations.closed]
url = "http://127.0.0.1:${receiver.port}/"
sign = "none"`,
    files: handlers,
    upkeep: { minuteMs: 10 },
    sendsOn: true,
  });
  const refused = new Map<string, number>();
  const loaded = new AbortController();
  const scrapes = (async () => {
    let last: readonly Series[] = [];
    let count = 0;
    while (!loaded.signal.aborted) {
      const now = await scrape(inbox);
      for (const { name, labels, value } of last.filter((one) => /_(?:total|count|bucket)$/.test(one.name)))
        expect([name, labels, value <= (valueOf(now, name, labels) ?? -1)]).toEqual([name, labels, true]);
      last = now;
      count++;
      await Bun.sleep(1);
    }
    return count;
  })();

  async function deliver(body: string, name: string): Promise<void> {
    const path = name === "" ? "/webhook/nowhere" : `/webhook/${name}`;
    const answer = await inbox.request(path, { method: "POST", body });
    const { error } = (await answer.json()) as { error?: { code: string } };
    if (error === undefined) return;
    const key = JSON.stringify([name, error.code]);
    refused.set(key, (refused.get(key) ?? 0) + 1);
  }
  const deliveries: Promise<void>[] = [];
  for (let n = 0; n < 120; n++) {
    // Each event arrives twice, and at the same time.
    for (const type of ["paid", "broken", "paid", "unknown"]) {
      deliveries.push(deliver(event(n >> 1, type), "shop"));
      deliveries.push(deliver(event(n >> 1, type), "other"), deliver(event(n >> 1, type), "third"));
    }
    deliveries.push(deliver("no JSON", "shop"), deliver("{}", "other"), deliver("{}", ""));
    if (n % 20 === 0) await Bun.sleep(1);
  }
  await Promise.all(deliveries);
  // Own retries, and the first attempt to send each message.
  await until(() => inbox.value("select count(*) from hookonce_messages where attempts = 0") === 0);
  // What is sent again meanwhile would change the counts between two looks.
  await inbox.outbox.pause("app", null, "test");
  await until(() => inbox.outbox.destinations().every(({ sending }) => sending === 0));
  await until(async () => {
    const results = ["delivered", "failed"].map((result) => ({ destination: "app", result }));
    const now = await scrape(inbox);
    const counts = results.map((labels) => valueOf(now, "hookonce_attempts_total", labels) ?? 0);
    return counts.reduce((sum, count) => sum + count, 0) === arrived;
  });
  await until(
    () =>
      inbox.value("select sum(refused) from hookonce_rollups where span in ('new', 'day')") ===
      [...refused].reduce((sum, [key, count]) => sum + (key.startsWith('[""') ? 0 : count), 0),
  );
  loaded.abort();
  expect(await scrapes).toBeGreaterThan(3);

  const metrics = await scrape(inbox);
  const sources = ["shop", "other", "third"];
  const counted = new Map<string, number>();
  for (const name of sources) {
    for (const outcome of OUTCOMES) {
      const value = valueOf(metrics, "hookonce_deliveries_total", { source: name, outcome });
      const stored = inbox.value(
        `select total(${outcome}) from hookonce_rollups where source = ? and span in ('new', 'day')`,
        name,
      ) as number;
      expect([name, outcome, value]).toEqual([name, outcome, stored]);
      counted.set(outcome, (counted.get(outcome) ?? 0) + stored);
    }
    const runs = Array.from({ length: 16 }, (_, n) => `t${n}`).join(" + ");
    expect(valueOf(metrics, "hookonce_handler_duration_seconds_count", { source: name })).toBe(
      inbox.value(
        `select total(${runs}) from hookonce_rollups where source = ? and span in ('new', 'day')`,
        name,
      ),
    );
    const owed = (outcome: string) => valueOf(metrics, "hookonce_owed_events", { source: name, outcome });
    expect([owed("unhandled"), owed("failed"), owed("held")]).toEqual([
      inbox.value("select count(*) from hookonce_events where source = ? and outcome = 'unhandled'", name),
      inbox.value("select count(*) from hookonce_failures where source = ? and settled_at is null", name),
      0,
    ]);
    expect(valueOf(metrics, "hookonce_last_delivery_timestamp_seconds", { source: name })).toBe(
      inbox.value("select max(last_at) from hookonce_rollups where source = ?", name) / 1000,
    );
  }
  // The load has caused each outcome that it was made for.
  for (const outcome of ["processed", "duplicate", "unhandled", "ignored", "failed"])
    expect([outcome, (counted.get(outcome) ?? 0) > 0]).toEqual([outcome, true]);

  const refusals = metrics.filter(({ name }) => name === "hookonce_refusals_total");
  expect(
    new Map(refusals.map(({ labels, value }) => [JSON.stringify([labels["source"], labels["code"]]), value])),
  ).toEqual(refused);

  const attempts = (destination: string, result: string) =>
    valueOf(metrics, "hookonce_attempts_total", { destination, result });
  const kept = (condition: string): number =>
    inbox.value(`select count(*) from hookonce_attempts where ${condition}`) as number;
  expect([attempts("app", "delivered"), attempts("app", "failed")]).toEqual([
    kept("status = 200"),
    kept("status = 500"),
  ]);
  expect(kept("status = 500")).toBeGreaterThan(0);
  expect(inbox.value("select sum(attempts) from hookonce_messages")).toBe(kept("true"));
  expect([attempts("closed", "delivered"), attempts("closed", "failed")]).toEqual([0, 0]);
  const waiting = "select count(*) from hookonce_messages where state = 'waiting'";
  expect(valueOf(metrics, "hookonce_messages", { destination: "app", state: "waiting" })).toBe(
    inbox.value(waiting),
  );
  // A message waits since it was written.
  expect(valueOf(metrics, "hookonce_oldest_message_age_seconds", { destination: "app" })).toBeGreaterThan(0);
  expect(valueOf(metrics, "hookonce_oldest_message_age_seconds", { destination: "closed" })).toBe(0);

  const all = sources.flatMap((name) =>
    OUTCOMES.map((outcome) => valueOf(metrics, "hookonce_deliveries_total", { source: name, outcome }) ?? 0),
  );
  const total = all.reduce((sum, one) => sum + one, 0);
  expect(valueOf(metrics, "hookonce_batch_size_sum")).toBe(total);
  expect(valueOf(metrics, "hookonce_sync_duration_seconds_count")).toBeGreaterThan(0);
  expect(valueOf(metrics, "hookonce_commit_duration_seconds_count", { work: "deliveries" })).toBe(
    valueOf(metrics, "hookonce_batch_size_count"),
  );
  for (const { name } of metrics) expect(name).toStartWith("hookonce_");
}, 60_000);

describe("a label", () => {
  test("is never an id or a type", async () => {
    await using inbox = await testInbox({ config: source("shop"), files: handlers });
    const before = await scrape(inbox);
    for (let n = 0; n < 20; n++)
      await inbox.deliver({ event_id: `id${n}`, type: `made.up.${n}` }, { source: "shop" });
    const after = await scrape(inbox);
    // A source's last delivery has no series before the first one.
    expect(after.length).toBe(before.length + 1);
    expect(JSON.stringify(after)).not.toContain("made.up");
  });

  test("is escaped, and the source of an unknown path is not one of it", async () => {
    await using inbox = await testInbox({ config: source("shop") });
    for (const path of ["/webhook/a%22b", "/webhook/c", "/d"])
      await inbox.request(path, { method: "POST", body: "{}" });
    const refused = (await scrape(inbox)).filter(({ name }) => name === "hookonce_refusals_total");
    expect(refused.map(({ labels }) => labels)).toEqual([
      { source: "", code: "unknown_source" },
      { source: "", code: "not_found" },
    ]);
  });
});

test("a source that is gone leaves no series", async () => {
  await using inbox = await testInbox({ config: `${source("shop")}${source("other")}`, files: handlers });
  await inbox.deliver({ event_id: "a", type: "paid" }, { source: "shop" });
  await inbox.deliver({ event_id: "a", type: "paid" }, { source: "other" });
  await inbox.deliver("{}", { source: "other" });
  expect(JSON.stringify(await scrape(inbox))).toContain("other");
  await inbox.restart({ config: source("shop"), open: { acceptIdChange: true } });
  const left = await scrape(inbox);
  expect(JSON.stringify(left)).not.toContain("other");
  expect(valueOf(left, "hookonce_deliveries_total", { source: "shop", outcome: "processed" })).toBe(1);
});

test("a paused source has its state, and what it holds is owed", async () => {
  await using inbox = await testInbox({ config: source("shop"), files: handlers });
  const state = async (name: string) =>
    valueOf(await scrape(inbox), "hookonce_source_state", { source: "shop", state: name });
  expect([await state("open"), await state("held")]).toEqual([1, 0]);
  await inbox.pausing.pause("shop", {}, "test");
  await inbox.deliver({ event_id: "a", type: "paid" }, { source: "shop" });
  expect([await state("open"), await state("held")]).toEqual([0, 1]);
  const metrics = await scrape(inbox);
  const labels = { source: "shop", outcome: "held" };
  expect(valueOf(metrics, "hookonce_owed_events", labels)).toBe(1);
  expect(valueOf(metrics, "hookonce_deliveries_total", labels)).toBe(1);
});

testUnless(
  needsCommand("promtool"),
  "promtool finds nothing wrong in the metrics",
  async () => {
    await using inbox = await testInbox({
      config: `${source("shop", 'forward = ["app"]')}
[destinations.app]
command = ["/bin/true"]`,
      files: handlers,
    });
    await inbox.deliver({ event_id: "a", type: "paid" }, { source: "shop" });
    const text = await (await inbox.api("/metrics")).text();
    const check = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: Buffer.from(text),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
    expect([said, await check.exited]).toEqual(["", 0]);
  },
  30_000,
);

describe("over HTTP", () => {
  const tokens = new Map<string, StoredToken>();
  const tokenWith = (scopes: readonly Scope[]): string => {
    const token = randomToken();
    const hash = hashOf(token);
    const more = { createdAt: 0, expiresAt: null, revokedAt: null };
    tokens.set(hash, { name: "prometheus", hash, scopes, ...more });
    return token;
  };
  const counters = createCounters([1]);
  const app = createListenerApp({
    admin: createAdminApp(adminInbox({ measured: { counters, depth: () => ({ deliveries: 3, jobs: 0 }) } })),
    access: createAccess({
      tokenOf: (hash) => Promise.resolve(tokens.get(hash)),
      url: () => null,
      clock: Date.now,
    }),
    files: () => Promise.resolve(new Map()),
  });
  const get = async (headers: Record<string, string>) =>
    app.request("/metrics", { headers: { host: "127.0.0.1:8788", ...headers } }, { peer: "192.0.2.1" });

  test("the scope read suffices, whatever name Prometheus has for the machine", async () => {
    const authorization = `Bearer ${tokenWith(["read"])}`;
    const answer = await get({ authorization, host: "hookonce.internal:8788" });
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    const depth = valueOf(readExposition(await answer.text()), "hookonce_queue_depth", {
      work: "deliveries",
    });
    expect(depth).toBe(3);
  });

  test("nothing is answered without a token, or with a wrong one", async () => {
    for (const headers of [{}, { authorization: "Bearer nonsense" }, { cookie: "hookonce=nonsense" }]) {
      const answer = await get(headers);
      expect(answer.status).toBe(401);
      expect(await answer.text()).not.toContain("hookonce_");
    }
  });

  test("a token without the scope read is refused", async () => {
    const answer = await get({ authorization: `Bearer ${tokenWith(["forget"])}` });
    expect(answer.status).toBe(403);
  });
});

test("an inbox that nobody serves has no metrics", async () => {
  const admin = createAdminApp(adminInbox());
  const { createSocketApp } = await import("../../src/http/admin/listener.ts");
  const answer = await createSocketApp(admin).request("/metrics");
  expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining("not_serving")]);
});
