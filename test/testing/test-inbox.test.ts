import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventTypes } from "../../src/providers/event-types.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { coversUrl } from "../../src/providers/verifier.ts";
import { addSource } from "../../src/simulator/add-source.ts";
import type { Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { staleAge, whyNotTampered } from "../../src/simulator/request.ts";
import { starterHandler } from "../../src/simulator/starter-handler.ts";
import * as actual from "../../src/testing/test.ts";
import type * as declared from "../../src/templates/types/test.d.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { neededBy } from "../providers/preset-samples.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

// Users see these types. The assignment fails to compile if the code that runs has others.
const { testInbox }: Pick<typeof declared, "testInbox"> = actual;
// Its names are made when they are read, so the last test below compares them.
const fixtures = actual.fixtures as unknown as declared.Fixtures;

const scratch = temporaryFolder("testing");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;

/** For the temporary folders of the inboxes, so that no other process adds to it. */
const temporary = join(scratch, "temporary");
const usual = process.env["TMPDIR"];
beforeAll(() => {
  mkdirSync(temporary);
  process.env["TMPDIR"] = temporary;
});
afterAll(() => {
  if (usual === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = usual;
});

function inboxFolder(files: Record<string, string>): string {
  const folder = join(scratch, String(++count));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const EFFECTS = "create table effects (source text, event_id text, type text, payload text) strict;";
const EFFECT = "insert into effects values (:source, :event_id, :type, :payload);";

const shop = inboxFolder({
  "hookonce.toml": `version = 1
database = "data/real.db"
[sources.stripe]
provider = "stripe"
secret = "env:NOBODY_HAS_SET_THIS"
[sources.github]
provider = "github"
secret = "file:secrets/missing"
[sources.razorpay]
provider = "razorpay"
secret = "env:NOR_THIS"
[sources.stripe-dev]
provider = "unsigned"
handlers = "stripe"
[sources.sendgrid]
provider = "sendgrid"
secret = "env:NOR_THIS"
[sources.own]
provider = "stripe"
secret = "env:NOR_THIS"
event_id = "header:x-own-id"
type = "body:$.kind"
`,
  "migrations/0001.sql": EFFECTS,
  "handlers/stripe/_any.sql": EFFECT,
  "handlers/github/_any.sql": EFFECT,
  "handlers/razorpay/_any.sql": EFFECT,
  "handlers/sendgrid/_any.sql": EFFECT,
  "handlers/own/_any.sql": EFFECT,
});

const refusalOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it was not refused",
    (error: Error) => error.message,
  );

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();

const wordsIn = (list = ""): string[] => Array.from(list.matchAll(/"([^"]*)"/g), ([, word]) => word ?? "");

const open = () => testInbox({ folder: shop });

test("a fixture of a type that is probably misspelled is made, with a warning that names the one that was meant", () => {
  using warn = spyOn(console, "warn").mockImplementation(() => {});
  expect(fixtures.stripe["invoice.payed"]?.()).toMatchObject({ type: "invoice.payed" });
  expect(fixtures.stripe["invoice.payed"]?.()).toMatchObject({ type: "invoice.payed" });
  expect(fixtures.github["isues.opened"]?.()).toBeDefined();
  expect(warn.mock.calls.flat()).toEqual([
    'warning: fixtures.stripe["invoice.payed"]: hookonce knows no such type; did you mean invoice.paid?',
    'warning: fixtures.github["isues.opened"]: hookonce knows no such type; did you mean issues.opened?',
  ]);
  for (const [provider, types] of eventTypes)
    for (const type of types.types) expect(actual.fixtures[provider]?.[type]).toBeFunction();
  expect(warn.mock.calls).toHaveLength(2);
  expect(() => actual.fixtures["strpe"]).toThrow("did you mean stripe?");
});

describe("testInbox", () => {
  test("makes one effect of fifty deliveries at the same time", async () => {
    await using box = await open();
    const paid = fixtures.stripe["invoice.paid"]({ data: { object: { amount_paid: 1200 } } });
    const answers = await box.deliver("stripe", paid, { times: 50, concurrently: true });
    expect(answers).toHaveLength(50);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(answers.filter(({ outcome }) => outcome === "processed")).toHaveLength(1);
    expect(answers.filter(({ outcome }) => outcome === "duplicate")).toHaveLength(49);
    expect(
      box.db.query("select type, payload ->> '$.data.object.amount_paid' as cents from effects").all(),
    ).toEqual([{ type: "invoice.paid", cents: 1200 }]);
  });

  test("returns what became of a delivery", async () => {
    await using box = await open();
    const [first, again] = await box.deliver("stripe", fixtures.stripe["invoice.paid"]({ id: "evt_1" }), {
      times: 2,
    });
    const event = { id: "evt_1", type: "invoice.paid" };
    const handler = "handlers/stripe/_any.sql";
    expect(first).toEqual({
      status: 200,
      outcome: "processed",
      headers: { "content-type": "application/json" },
      body: { status: "processed", event_id: "evt_1", message: "Webhook received and processed" },
      events: [{ ...event, outcome: "processed", handler, rowsChanged: 1 }],
    });
    expect(again).toMatchObject({ status: 200, outcome: "duplicate" });
  });

  test("says why a handler failed, in SQL and in TypeScript", async () => {
    const folder = inboxFolder({
      "hookonce.toml": 'version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:X"\n',
      "migrations/0001.sql": "create table t (a integer not null) strict;",
      "handlers/stripe/charge.failed.sql": "insert into t values (:payload ->> '$.nothing');",
      "handlers/stripe/customer.created.ts": `import { handler } from "hookonce";
export default handler(({ event }) => {
  throw new Error("no " + event.payload.data.object.id);
});
`,
    });
    await using box = await testInbox({ folder });
    const [sql] = await box.deliver("stripe", fixtures.stripe["charge.failed"]?.());
    expect(sql).toMatchObject({ status: 500, outcome: "failed" });
    expect(sql?.error).toContain("NOT NULL constraint failed: t.a");
    const created = fixtures.stripe["customer.created"]?.({ data: { object: { id: "cus_1" } } });
    const [ts] = await box.deliver("stripe", created);
    expect(ts).toMatchObject({ status: 500, outcome: "failed", error: "no cus_1" });
    expect(ts?.events[0]?.at).toBe("handlers/stripe/customer.created.ts:3");
  });

  test("refuses to open a folder that serve would refuse, and says why", async () => {
    const folder = inboxFolder({
      "hookonce.toml": 'version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:X"\n',
      "handlers/stripe/_any.sql": "insert into nowhere values (1);",
    });
    expect(await refusalOf(testInbox({ folder }))).toContain(
      "handlers/stripe/_any.sql:1: no such table: nowhere",
    );
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("refuses a changed body and an old signature", async () => {
    await using box = await open();
    const paid = fixtures.stripe["invoice.paid"]();
    const [tampered] = await box.deliver("stripe", paid, { tamper: true });
    expect(tampered).toMatchObject({ status: 401, outcome: "refused", code: "signature_mismatch" });
    const [late] = await box.deliver("stripe", paid, { late: true });
    expect(late).toMatchObject({ status: 401, outcome: "refused", code: "timestamp_stale" });
    const ages = await Promise.all(
      ["4m", "6m"].map((age) => box.deliver("stripe", fixtures.stripe["invoice.paid"](), { late: age })),
    );
    expect(ages.flat().map(({ status }) => status)).toEqual([200, 401]);
    expect(box.db.query("select count(*) as n from effects").get()).toEqual({ n: 1 });
  });

  test("refuses an option that would have no effect", async () => {
    await using box = await open();
    const captured = fixtures.razorpay["payment.captured"]();
    expect(await refusalOf(box.deliver("razorpay", captured, { late: true }))).toContain(
      "late has no effect for Razorpay",
    );
    const ping = fixtures.unsigned["invoice.paid"]?.();
    expect(await refusalOf(box.deliver("stripe-dev", ping, { tamper: true }))).toContain(
      "tamper has no effect",
    );
    expect(await refusalOf(box.deliver("stripe", captured, { late: "soon" }))).toContain(
      '"soon" is not a duration',
    );
    expect(await refusalOf(box.deliver("strip", captured))).toContain("did you mean stripe?");
    expect(() => fixtures["strip" as "stripe"]).toThrow("did you mean stripe?");
  });

  test("has a clock that can be set, and a delivery is signed and received at that time", async () => {
    await using box = await open();
    expect(Math.abs(box.clock - Date.now())).toBeLessThan(60_000);
    box.clock = "2031-05-06T07:08:09Z";
    const [answer] = await box.deliver("stripe", fixtures.stripe["invoice.paid"]());
    expect(answer?.status).toBe(200);
    expect(box.clock).toBe(Date.parse("2031-05-06T07:08:09Z"));
    expect(box.db.query("select received_at from hookonce_events").get()).toEqual({ received_at: box.clock });
    expect(() => (box.clock = "later")).toThrow("later is not a time");
  });

  test("delivers a payload of the test's own, and the same object is the same event", async () => {
    await using box = await open();
    const push = { ref: "refs/heads/main", repository: { full_name: "ada/engine" } };
    expect(await refusalOf(box.deliver("github", push))).toContain('{ type: "push" }');
    const [first] = await box.deliver("github", push, { type: "push" });
    const [again] = await box.deliver("github", push);
    const [other] = await box.deliver(
      "github",
      { ...push },
      { headers: { "X-GitHub-Event": "ping" }, type: "push" },
    );
    expect([first, again, other].map((answer) => answer?.outcome)).toEqual([
      "processed",
      "duplicate",
      "processed",
    ]);
    expect(box.db.query("select type from effects").all()).toEqual([{ type: "push" }, { type: "ping" }]);
    const [text] = await box.deliver("stripe", '{"id":"evt_9","type":"x", "n": 12345678901234567890}');
    expect(text?.outcome).toBe("processed");
    expect(box.db.query("select payload from effects where event_id = 'evt_9'").get()).toEqual({
      payload: '{"id":"evt_9","type":"x", "n": 12345678901234567890}',
    });
  });

  test("wraps events as a provider that sends batches does, and a stand-in source takes its payloads", async () => {
    await using box = await open();
    const [batch] = await box.deliver("sendgrid", fixtures.sendgrid["delivered"]());
    expect(batch).toMatchObject({ status: 200, outcome: "processed", events: [{ type: "delivered" }] });
    const [dev] = await box.deliver("stripe-dev", fixtures.stripe["invoice.paid"]());
    expect(dev).toMatchObject({ outcome: "processed", events: [{ type: "invoice.paid" }] });
  });

  test("puts id and type to where the config reads them", async () => {
    await using box = await open();
    const [answer] = await box.deliver("own", fixtures.stripe["invoice.paid"](), { times: 2 });
    expect(answer).toMatchObject({ outcome: "processed", events: [{ type: "invoice.paid" }] });
  });

  test("says that an event is stale", async () => {
    const folder = inboxFolder({
      "hookonce.toml": `version = 1
[sources.stripe]
provider = "stripe"
secret = "env:X"
newest_wins = { types = ["customer.*"], key = "body:$.data.object.id", version = "body:$.created" }
`,
      "migrations/0001.sql": EFFECTS,
      "handlers/stripe/_any.sql": EFFECT,
    });
    await using box = await testInbox({ folder });
    for (const [created, outcome] of [
      [2, "processed"],
      [1, "stale"],
    ] as const) {
      const event = fixtures.stripe["customer.subscription.deleted"]({
        created,
        data: { object: { id: "sub_1" } },
      });
      expect(await box.deliver("stripe", event)).toMatchObject([{ status: 200, outcome }]);
    }
  });

  test("leaves the folder and its database alone, and removes its own", async () => {
    const before = filesIn(shop);
    let database: string;
    {
      await using box = await open();
      await box.deliver("stripe", fixtures.stripe["invoice.paid"]());
      database = box.db.filename;
      expect(existsSync(database)).toBe(true);
    }
    expect(filesIn(shop)).toEqual(before);
    expect(database.startsWith(temporary)).toBe(true);
    expect(existsSync(dirname(database))).toBe(false);
  });

  test("has the tables of an application if the test makes them", async () => {
    const folder = inboxFolder({
      "hookonce.toml":
        'version = 1\ndatabase = "../app.db"\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:X"\n',
      "handlers/stripe/_any.sql": "update users set paid = 1 where id = 7;",
    });
    await using box = await testInbox({
      folder,
      prepare: (db) => {
        db.run("create table users (id integer primary key, paid integer not null)");
        db.run("insert into users values (7, 0)");
      },
    });
    const [answer] = await box.deliver("stripe", fixtures.stripe["invoice.paid"]());
    expect(answer?.events).toMatchObject([{ outcome: "processed", rowsChanged: 1 }]);
    expect(box.db.query("select * from users").all()).toEqual([{ id: 7, paid: 1 }]);
  });
});

describe("with every preset", () => {
  let box: Awaited<ReturnType<typeof testInbox>>;
  const all = [...providers.values()];
  beforeAll(async () => {
    const sources = all.map(
      (preset) =>
        `[sources.${preset.name}]\nprovider = "${preset.name}"\n${kindOf(preset.scheme).needsSecret ? 'secret = "env:S"\n' : ""}${coversUrl(preset.scheme) ? 'public_url = "https://hooks.example.com/in"\n' : ""}${neededBy(preset)}`,
    );
    const handlers = all.map(({ name }) => [`handlers/${name}/_any.sql`, EFFECT]);
    const folder = inboxFolder({
      "hookonce.toml": `version = 1\n${sources.join("\n")}`,
      "migrations/0001.sql": EFFECTS,
      ...Object.fromEntries(handlers),
    });
    box = await testInbox({ folder });
  }, 60_000);
  afterAll(() => box[Symbol.asyncDispose]());

  test.each(all.map((preset) => [preset.name, preset] as const))("%s", async (name, { scheme }) => {
    const types = examples.get(name)?.types ?? [];
    for (const type of types) {
      const payload = fixtures[name as "stripe"][type]?.();
      const [first] = await box.deliver(name, payload);
      expect([first?.status, first?.outcome, first?.error]).toEqual([
        expect.any(Number),
        "processed",
        undefined,
      ]);
      expect(first?.events[0]?.type).toBe(type);
    }
    const payload = fixtures[name as "stripe"][types[0] ?? ""]?.();
    if (whyNotTampered(scheme) === undefined)
      expect((await box.deliver(name, payload, { tamper: true }))[0]).toMatchObject({ status: 401 });
    if (staleAge(scheme) !== undefined)
      expect((await box.deliver(name, payload, { late: true }))[0]).toMatchObject({ status: 401 });
  });
});

testUnless(
  onlyInFullRun(),
  "the first test of each starter handler passes",
  async () => {
    for (const [name, provider] of providers) {
      const folder = inboxFolder({ "hookonce.toml": "version = 1\n" });
      const example = examples.get(name) as Example;
      const words = [...example.types, ...Object.keys(example.untyped ?? {})];
      addSource({ folder, provider, example, types: words, name, handlers: true });
      await using box = await testInbox({ folder });
      for (const word of words) {
        const { test: first } = starterHandler(provider, example, name, word);
        expect(existsSync(join(folder, first.file))).toBe(true);
        const answers = await box.deliver(name, fixtures[name as "stripe"][word]?.(), { times: 2 });
        const codes = answers.map(({ code }) => code);
        expect([name, word, ...codes]).toEqual([name, word, "handler_unfinished", "handler_unfinished"]);
      }
    }
  },
  300_000,
);

test("the types that users see are those of the code, with every provider and its usual types", () => {
  expect(Object.keys(actual).sort()).toEqual(["fixtures", "testInbox"]);
  const text = readFileSync(join(import.meta.dir, "../../src/templates/types/test.d.ts"), "utf8");
  const listed = /^export interface Fixtures \{\n([^]*?)^\}/m.exec(text)?.[1] ?? "";
  const found = [...listed.matchAll(/^ {2}readonly "?([\w-]+)"?: Payloads(?:<([^]*?)>)?;$/gm)];
  const written = [...examples].map(([name, { types, untyped = {} }]): [string, string[]] => [
    name,
    [...new Set([...types.filter((type) => type !== ""), ...Object.keys(untyped)])],
  ]);
  expect(Object.fromEntries(found.map(([, name, list]) => [name, wordsIn(list)]))).toEqual(
    Object.fromEntries(written),
  );
});

/** The file of the first frame. */
const lineOf = (stack: string | undefined): string | undefined =>
  /[\w.-]+\.ts(?=:\d+)/.exec(stack ?? "")?.[0];

describe("an error that a test has caused is shown at its own line", () => {
  test("a folder that cannot start", async () => {
    const folder = inboxFolder({ "hookonce.toml": "version = 2\n" });
    const error = (await testInbox({ folder }).catch((thrown: unknown) => thrown)) as Error;
    expect([error.message.includes("version"), lineOf(error.stack)]).toEqual([true, "test-inbox.test.ts"]);
    expect(Object.keys(error)).not.toContain("problems");
  });

  test("a source that there is not", async () => {
    await using box = await testInbox({
      folder: inboxFolder({
        "hookonce.toml": 'version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n',
      }),
    });
    const error = (await box.deliver("strip", {}).catch((thrown: unknown) => thrown)) as Error;
    expect([error.name, error.message.includes('"strip"'), lineOf(error.stack)]).toEqual([
      "TypeError",
      true,
      "test-inbox.test.ts",
    ]);
  });

  test("a provider that there is not", () => {
    let stack: string | undefined;
    try {
      void fixtures["strip" as "stripe"];
    } catch (error) {
      stack = (error as Error).stack;
    }
    expect(lineOf(stack)).toBe("test-inbox.test.ts");
  });
});
