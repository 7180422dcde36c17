import { afterAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { writeFixture } from "../../src/app/write-fixture.ts";
import { HookonceError } from "../../src/errors.ts";
import { fixtureText } from "../../src/http/admin/fixture-json.ts";
import { createAdminApp } from "../../src/http/admin/routes.ts";
import type { AdminEnv } from "../../src/http/admin/routing.ts";
import { adminInbox } from "../support/admin-inbox.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const scratch = temporaryFolder("fixtures");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"

[sources.shop-dev]
provider = "unsigned"
handlers = "shop"
event_id = "body:$.id"
type     = "body:$.type"
`;

async function save(
  inbox: TestInbox,
  request: Readonly<Record<string, unknown>>,
): Promise<{ status: number; file: string | undefined; error: string | undefined }> {
  const response = await inbox.api("/api/fixtures", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ source: "shop", ...request }),
  });
  const body = (await response.json()) as { file?: string; error?: { code: string; message: string } };
  const error = body.error === undefined ? undefined : `${body.error.code}: ${body.error.message}`;
  return { status: response.status, file: body.file, error };
}

describe("POST /api/fixtures", () => {
  test("saves the payload with masked values, never over another file, and the audit list says who did it", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    const text = `{"id":"evt_1","type":"invoice.paid","big":12345678901234567890,"to":[{"email":"ada@example.com","name":"Ada","vip":true}],"__proto__":{"a":1}}`;
    await inbox.deliver(text, { source: "shop" });
    const redact = ["body:$.to[0].email", "body:$.to[0].name", "body:$.__proto__"];
    const first = await save(inbox, { event_id: "evt_1", redact });
    expect(first).toEqual({
      status: 201,
      file: "handlers/shop/fixtures/invoice.paid.json",
      error: undefined,
    });
    expect(readFileSync(join(inbox.folder, String(first.file)), "utf8")).toBe(`{
  "id": "evt_1",
  "type": "invoice.paid",
  "big": 12345678901234567890,
  "to": [
    {
      "email": "masked@example.com",
      "name": "masked",
      "vip": true
    }
  ],
  "__proto__": {
    "a": 0
  }
}
`);
    const second = await save(inbox, { event_id: "evt_1" });
    expect(second.file).toBe("handlers/shop/fixtures/invoice.paid-2.json");
    expect(JSON.parse(readFileSync(join(inbox.folder, String(second.file)), "utf8")).to[0].name).toBe("Ada");
    const audit = (await (await inbox.api("/api/audit")).json()) as { items: Record<string, unknown>[] };
    expect(audit.items.map(({ action, target }) => [action, target])).toEqual([
      ["fixture", "handlers/shop/fixtures/invoice.paid-2.json"],
      ["fixture", "handlers/shop/fixtures/invoice.paid.json"],
    ]);
    // The next start does not take them for handlers.
    await inbox.restart();
    expect(inbox.log.filter(({ msg }) => msg.includes("never runs"))).toEqual([]);
  });

  test("saves them in the folder of the handlers that run, and of an event without a type, too", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    await inbox.deliver({ id: "evt_1", type: "" }, { source: "shop-dev" });
    const { file } = await save(inbox, { source: "shop-dev", event_id: "evt_1" });
    expect(file).toBe("handlers/shop/fixtures/_any.json");
  });

  test("refuses a path that finds nothing, and an event that has no payload, and writes nothing", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    await inbox.deliver({ id: "evt_1", type: "t", a: { b: 1 } }, { source: "shop" });
    const refused = async (request: Record<string, unknown>): Promise<string | undefined> =>
      (await save(inbox, { event_id: "evt_1", ...request })).error;
    for (const path of ["body:$.a.c", "body:$.a.b.c", "body:$.a[0]", "body:$.constructor"])
      expect(await refused({ redact: [path] })).toBe(
        `invalid_request: The request is invalid: redact: "${path}" finds nothing in this payload: correct or remove it.`,
      );
    for (const path of ["$.a", "header:x", "body:a"])
      expect(await refused({ redact: [path] })).toContain(`"${path}" is not a path`);
    expect(await refused({ event_id: "evt_2" })).toContain("unknown_event");
    expect(await refused({ source: "nobody" })).toContain("unknown_event");
    expect(lstatSync(join(inbox.folder, "handlers"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("needs the scope steer", async () => {
    const app = new Hono<AdminEnv>()
      .use(async (c, next) => {
        c.set("actor", { name: "reader", scopes: ["read"], expiresAt: null });
        await next();
      })
      .route("/", createAdminApp(adminInbox()));
    const response = await app.request("/api/fixtures", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ source: "shop", event_id: "evt_1" }),
    });
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining("scope_missing")]);
  });
});

describe("writeFixture", () => {
  test.each([
    ["invoice.paid", "invoice.paid"],
    ["orders/create", "orders_create"],
    ["Push Hook", "Push_Hook"],
    ["", "_any"],
    ["..", "_"],
    ["../../../etc/passwd", "__.._.._etc_passwd"],
    [".bashrc", "_bashrc"],
    ["-rf", "_rf"],
    ["a\u0000b\nc\u202E", "a_b_c_"],
    ["C:\\x", "C__x"],
    ["t".repeat(300), "t".repeat(100)],
  ])("makes one file name of the type %j", (type, name) => {
    const folder = join(scratch, crypto.randomUUID());
    expect(writeFixture(folder, "shop", type, "{}")).toBe(`handlers/shop/fixtures/${name}.json`);
    expect(readFileSync(join(folder, `handlers/shop/fixtures/${name}.json`), "utf8")).toBe("{}");
  });

  test("does not write through a symbolic link", () => {
    const folder = join(scratch, "linked");
    mkdirSync(join(folder, "handlers/shop/fixtures"), { recursive: true });
    symlinkSync(join(scratch, "elsewhere"), join(folder, "handlers/shop/fixtures/paid.json"));
    expect(writeFixture(folder, "shop", "paid", "{}")).toBe("handlers/shop/fixtures/paid-2.json");
    expect(lstatSync(join(scratch, "elsewhere"), { throwIfNoEntry: false })).toBeUndefined();
  });

  test("says what to do when the folder cannot be written", () => {
    const folder = join(scratch, "blocked");
    mkdirSync(join(folder, "handlers"), { recursive: true });
    writeFileSync(join(folder, "handlers/shop"), "a file, so that no folder can be made there");
    let refused: unknown;
    try {
      writeFixture(folder, "shop", "paid", "{}");
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(HookonceError);
    expect((refused as HookonceError).code).toBe("fixture_not_written");
    expect((refused as HookonceError).message).toContain(
      "Allow the user that runs hookonce serve to write to handlers/shop/",
    );
  });
});

test("masks everything below a path, and keeps the kind of each value", () => {
  const payload = { a: { b: [1, "x", null, true, { c: "a@b.c" }] }, d: 1 };
  expect(JSON.parse(fixtureText(JSON.stringify(payload), ["body:$.a"]))).toEqual({
    a: { b: [0, "masked", null, false, { c: "masked@example.com" }] },
    d: 1,
  });
});
