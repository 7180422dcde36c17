import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import { healthOf } from "../../src/app/health.ts";
import { statusReport } from "../../src/cli/status.ts";
import { HookonceError } from "../../src/errors.ts";
import { run, scratch, serve } from "./support/hookonce.ts";
import { testInFullRun } from "../crash/requirements.ts";

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
};
const event = { event_id: "evt_1", type: "nobody.handles.this" };

testInFullRun(
  "status says what runs, what is owed and how large the database is",
  async () => {
    using inbox = scratch(files);
    const before = await run(["status", inbox.path]);
    expect({ code: before.code, stderr: before.stderr }).toEqual({ code: 0, stderr: "" });
    expect(before.stdout).toContain("No hookonce serve is running, so no webhooks are received.");
    expect(before.stdout).toContain("Nothing is owed.");

    let url: string;
    {
      await using serving = await serve(inbox.path);
      url = serving.url;
      expect((await serving.post("/webhook", event)).status).toBe(200);
      const shown = await run(["status", "--folder", inbox.path]);
      expect(shown.code).toBe(0);
      expect(shown.stdout).toMatch(
        /^hookonce \S+ has served http:\/\/127\.0\.0\.1:\d+ since \d\d-\d\d \d\d:\d\d:\d\d\.\nReady/,
      );
      expect(shown.stdout).toMatch(/^default  Unsigned \(development\)  \/webhook  /m);
      expect(shown.stdout).toContain(
        "1 event is owed:\n  1 unhandled, source default, type nobody.handles.this\n",
      );
      expect(shown.stdout).toMatch(
        /Database .*hookonce\.db: \d+ KiB, log \d+ KiB, \d+ [MG]iB free on its disk/,
      );

      const status = JSON.parse((await run(["status", inbox.path, "--json"])).stdout) as StatusJson;
      expect(status.serving).toEqual({
        url,
        started_at: expect.any(Number) as number,
        loaded_at: expect.any(Number) as number,
        ready: true,
        error: null,
        warnings: [],
      });
      expect(status.owed).toEqual([
        {
          source: "default",
          type: "nobody.handles.this",
          outcome: "unhandled",
          count: 1,
          capped: false,
          handler: null,
        },
      ]);
    }

    const after = JSON.parse((await run(["status", inbox.path, "--json"])).stdout) as StatusJson;
    expect(after.serving).toBeNull();
    expect(after.sources.map((source) => source.url)).toContain("/webhook");
    expect(after.owed).toMatchObject([{ handler: null }]);
    mkdirSync(join(inbox.path, "handlers/default"), { recursive: true });
    writeFileSync(join(inbox.path, "handlers/default/nobody.sql"), "select 1;");
    const withHandler = JSON.parse((await run(["status", inbox.path, "--json"])).stdout) as StatusJson;
    expect(withHandler.owed).toMatchObject([{ handler: "handlers/default/nobody.sql" }]);
    expect(after.disk.database_bytes).toBeGreaterThan(0);
  },
  30_000,
);

test("a handler for a prefix of types is distinguished from a handler for one type", async () => {
  using inbox = scratch({
    "hookonce.toml": `version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`,
    "handlers/stripe/customer.subscription.sql": "select 1;",
    "handlers/stripe/invoice.paid.sql": "select 1;",
    "handlers/stripe/_any.sql": "select 1;",
  });
  const { sources } = JSON.parse((await run(["status", inbox.path, "--json"])).stdout) as StatusJson;
  expect(sources[0]?.handlers).toHaveLength(3);
  expect(sources[0]?.prefix_handlers).toEqual(["handlers/stripe/customer.subscription.sql"]);
}, 30_000);

const status: StatusJson = {
  version: "1.2.3",
  now: Date.parse("2026-11-27T12:00:00Z"),
  serving: {
    url: "http://127.0.0.1:8787",
    started_at: Date.parse("2026-11-27T11:00:00Z"),
    loaded_at: Date.parse("2026-11-27T11:00:00Z"),
    ready: true,
    error: null,
    warnings: [],
  },
  actor: { name: "ada", scopes: ["read"] },
  conditions: [],
  sources: [],
  paused: [],
  destinations: [],
  owed: [{ source: "s", type: "\u001b[31m", outcome: "failed", count: 10_000, capped: true, handler: null }],
  today: {
    processed: 4812,
    duplicate: 37,
    unhandled: 0,
    ignored: 0,
    stale: 0,
    held: 0,
    failed: 1,
    refused: 2,
  },
  disk: {
    database: "/d/x.db",
    database_bytes: 20 * 1024 ** 3,
    log_bytes: 300 * 1024 ** 2,
    free_bytes: null,
  },
  retention: { payloads_ms: null, max_bytes: null, used_bytes: 4096, discarded: 0, last_discarded_at: null },
  nodes: [],
};

test("the nodes of a database are listed if there are several", () => {
  const node = { name: "db1:/srv/inbox", version: "1.0.0", config: "0a", handlers: "0b", started_at: 1 };
  const here = { ...node, last_seen_at: status.now, silent: false };
  expect(statusReport({ ...status, nodes: [here] }, 80)).not.toContain("nodes use");
  const other = {
    ...here,
    name: "db2:/srv/inbox",
    config: "1a",
    last_seen_at: status.now - 20_000,
    silent: true,
  };
  expect(statusReport({ ...status, nodes: [here, other] }, 80)).toContain(`2 nodes use this database:
  db1:/srv/inbox: hookonce 1.0.0, config 0a, handlers 0b
  db2:/srv/inbox: hookonce 1.0.0, config 1a, handlers 0b, last seen 20 s ago
`);
});

test("status shows a large log as /readyz does, and why deliveries cannot be stored", async () => {
  const message = "The write-ahead log has 300 MiB.";
  const large = await healthOf(() => Promise.resolve({ warnings: [{ code: "log_large", message }] }), []);
  const serving = { url: "http://127.0.0.1:8787", started_at: 0, loaded_at: 0 };
  expect(statusReport({ ...status, serving: { ...serving, ...large } }, 80)).toContain(
    "Ready: deliveries can be stored.\nWarning: The write-ahead log has 300 MiB. [log_large]\n",
  );
  const full = await healthOf(() => Promise.reject(new HookonceError("disk_full", "The disk is full.")), []);
  expect(statusReport({ ...status, serving: { ...serving, ...full } }, 80)).toContain(
    "Not ready: The disk is full. [disk_full]\n",
  );
});

test("status prints text from outside as text, and says where a count stops", () => {
  const report = statusReport(status, 80);
  expect(report).toContain("10,000+ events are owed:\n  10,000+ failed, source s, type \\u001b[31m\n");
  expect(report).toContain("Database /d/x.db: 20 GiB, log 300 MiB");
});

test("status names the folder in its commands", () => {
  expect(statusReport(status, 80, "my inbox")).toContain(": hookonce apply --folder 'my inbox'\n");
  expect(statusReport({ ...status, sources: [], owed: [] }, 80, "vps")).toContain(
    "hookonce add stripe --folder vps\n",
  );
  expect(statusReport(status, 80)).toContain(": hookonce apply\n");
});

test("status counts one of a thing in the singular", () => {
  const today = { ...status.today, processed: 1, duplicate: 1 };
  const owed = [
    { source: "s", type: "t", outcome: "failed", count: 1, capped: false, handler: null },
  ] as const;
  const report = statusReport({ ...status, today, owed }, 80);
  expect(report).toContain("Answers in 24 hours: 1 processed, 1 duplicate, 1 failed, 2 refused.\n");
  expect(report).toContain("\n1 event is owed:\n");
});

test("status names the rarer outcomes of deliveries if there were any", () => {
  const today = { ...status.today, unhandled: 3, stale: 1200 };
  expect(statusReport({ ...status, today }, 120)).toContain(
    "Answers in 24 hours: 4,812 processed, 37 duplicate, 3 unhandled, 1,200 stale, 1 failed, 2 refused.\n",
  );
});

test("status shows what each source has received lately", () => {
  const source = {
    name: "stripe",
    state: "open" as const,
    provider: "stripe",
    title: "Stripe",
    docs: "https://stripe.com/docs",
    url: "http://127.0.0.1:8787/webhook/stripe",
    handlers: [],
    prefix_handlers: [],
    last_delivery_at: status.now - 8000,
    last_hour: 12,
    p95_us: 500,
    secrets: [],
  };
  const report = statusReport({ ...status, sources: [source] }, 100);
  expect(report).toContain("Answers in 24 hours: 4,812 processed, 37 duplicate, 1 failed, 2 refused.\n");
  expect(report).toContain(`
source  provider  path             last delivery  last hour  p95
stripe  Stripe    /webhook/stripe  8 s ago        12         0.5 ms
`);
});

test("status says what retention removes, and how many events it has discarded", () => {
  const lines = (more: Partial<StatusJson["retention"]>): string[] => {
    const report = statusReport({ ...status, retention: { ...status.retention, ...more } }, 80).split("\n");
    return report.slice(report.findIndex((line) => line.startsWith("Retention")));
  };
  expect(lines({})).toEqual(["Retention: off. Payloads are kept for ever."]);
  expect(lines({ payloads_ms: 90 * 86_400_000 })).toEqual(["Retention: payloads are removed after 90d."]);
  expect(lines({ max_bytes: 2 * 1024 ** 3, used_bytes: 1_300_000_000 })).toEqual([
    "Retention: the oldest payloads are removed if more than 2 GiB is in use (now 1240 MiB).",
  ]);
  const last = status.now - 3 * 86_400_000;
  expect(
    lines({ payloads_ms: 3_600_000, max_bytes: 1024 ** 2, discarded: 12, last_discarded_at: last }),
  ).toEqual([
    "Retention: payloads are removed after 1h, and the oldest ones if more than 1 MiB is in use (now 4 KiB).",
    "Retention discarded 12 unhandled events, the last one 3 d ago. The payloads are gone; ids and types are left.",
  ]);
});
