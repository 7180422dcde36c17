import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, noteOrFail } from "./support/effects.ts";
import { githubSignature, secrets, signedSources, stripeSignature } from "./support/signed.ts";

const config = `${signedSources}
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`;
const files = {
  "migrations/0001.sql": effectsTable,
  "handlers/default/paid.sql": noteOrFail,
  "handlers/default/nobody.sql": "delete from effects where event_id = 'nobody';",
  "handlers/stripe/_any.sql": noteOrFail,
};

const authorization = "Bearer authorization-that-nobody-may-see";
const cookie = "session=cookie-that-nobody-may-see";
const inBody = "a-word-of-the-body-that-nobody-may-see";

const secretHeaders = {
  authorization,
  cookie,
  "proxy-authorization": authorization,
  "x-custom": "kept as it is",
};

async function deliverStripe(inbox: TestInbox, payload: object, signature?: string): Promise<number> {
  const body = JSON.stringify(payload);
  const response = await inbox.request("/webhook/stripe", {
    method: "POST",
    body,
    headers: { ...secretHeaders, "stripe-signature": signature ?? stripeSignature(body) },
  });
  return response.status;
}

const stored = (inbox: TestInbox, sql: string): Record<string, string> =>
  JSON.parse(String(inbox.value(sql))) as Record<string, string>;

describe("the database", () => {
  test("stores the exact body and the headers, with signatures kept and credentials replaced", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    const payload = { id: "evt_1", type: "paid", note: inBody };
    const signature = stripeSignature(JSON.stringify(payload));
    expect(await deliverStripe(inbox, payload, signature)).toBe(200);

    expect(stored(inbox, "select headers from hookonce_bodies")).toEqual({
      authorization: "[redacted]",
      cookie: "[redacted]",
      "proxy-authorization": "[redacted]",
      "x-custom": "kept as it is",
      host: "localhost",
      "content-length": String(JSON.stringify(payload).length),
      "stripe-signature": signature,
    });
    const body = inbox.value("select bytes from hookonce_bodies") as Uint8Array;
    expect(new TextDecoder().decode(body)).toBe(JSON.stringify(payload));
  });

  test("stores no credentials of changed bodies and failures, and handlers see none", async () => {
    await using inbox = await testInbox({
      config,
      files: {
        ...files,
        "handlers/stripe/_any.sql": `insert into effects values (:source, :event_id, :headers);
insert into effects select null, null, null where :payload ->> '$.fail';`,
      },
      environment: secrets,
    });
    expect(await deliverStripe(inbox, { id: "evt_1", type: "paid" })).toBe(200);
    expect(await deliverStripe(inbox, { id: "evt_1", type: "paid", changed: true })).toBe(200);
    expect(await deliverStripe(inbox, { id: "evt_2", type: "paid", fail: true })).toBe(500);
    expect(await deliverStripe(inbox, { id: "evt_2", type: "paid", fail: true })).toBe(500);

    for (const sql of [
      "select note from effects",
      "select headers from hookonce_changed_bodies",
      "select first_headers from hookonce_failures",
      "select last_headers from hookonce_failures",
    ]) {
      expect(stored(inbox, sql)).toMatchObject({
        authorization: "[redacted]",
        cookie: "[redacted]",
        "proxy-authorization": "[redacted]",
        "stripe-signature": expect.stringMatching(/^t=\d+,v1=[0-9a-f]{64}$/),
      });
    }
    for (const table of ["hookonce_bodies", "hookonce_failures", "hookonce_changed_bodies", "effects"])
      expect(JSON.stringify(inbox.rows(`select * from ${table}`))).not.toContain("nobody-may-see");
  });
});

describe("the log", () => {
  test("has one line for each delivery, with its outcome and cause", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    const started = inbox.log.length;
    await inbox.deliver({ event_id: "evt_1", type: "paid" });
    await inbox.deliver({ event_id: "evt_1", type: "paid" });
    await inbox.deliver({ event_id: "evt_1", type: "paid", more: 1 });
    await inbox.deliver({ event_id: "evt_2", type: "paid", fail: true });
    await inbox.deliver({ type: "paid" });
    await deliverStripe(inbox, { id: "evt_3" }, "t=1,v1=00");
    await inbox.request("/webhook", { method: "POST", body: "{}" }, "203.0.113.9");

    const lines = inbox.log.slice(started).map(({ time: _t, pid: _p, hostname: _h, ms, ...line }) => {
      expect(ms).toBeNumber();
      return line;
    });
    const of = { source: "default", msg: "delivery" };
    const handler = "handlers/default/paid.sql";
    expect(lines).toEqual([
      { ...of, level: 30, event: "evt_1", type: "paid", outcome: "processed", handler, rows: 1 },
      { ...of, level: 30, event: "evt_1", type: "paid", outcome: "duplicate" },
      { ...of, level: 30, event: "evt_1", type: "paid", outcome: "duplicate", changed_body: true },
      {
        ...of,
        level: 50,
        event: "evt_2",
        type: "paid",
        outcome: "failed",
        handler,
        code: "handler_error",
        cause: expect.stringContaining("NOT NULL constraint failed"),
        at: "handlers/default/paid.sql:2",
        next: "Correct the handler and run hookonce reload: the provider's next retry, or hookonce apply ID, runs the event again.",
      },
      {
        ...of,
        level: 40,
        outcome: "rejected",
        code: "missing_event_id",
        cause: expect.stringContaining("event_id"),
      },
      {
        ...of,
        source: "stripe",
        level: 40,
        outcome: "rejected",
        code: "signature_mismatch",
        cause: expect.any(String),
      },
      {
        ...of,
        level: 40,
        outcome: "rejected",
        code: "unsigned_not_loopback",
        cause: expect.stringContaining("did not come from this machine"),
      },
    ] as unknown as typeof lines);
  });

  test("has one line for a delivery to an unknown source", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    await inbox.deliver({ event_id: "evt_1" }, { source: "strpie" });
    expect(inbox.log.filter(({ msg }) => msg === "delivery")).toEqual([
      expect.objectContaining({ outcome: "rejected", code: "unknown_source" }),
    ]);
  });

  test("warns once of each type without a handler, and of each handler that changed no rows", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    for (const [type, times] of Object.entries({ refunded: 3, disputed: 2, nobody: 3 })) {
      for (let n = 0; n < times; n++) await inbox.deliver({ event_id: `${type}_${n}`, type });
    }
    const warnings = inbox.log.filter(({ level, msg }) => level === 40 && msg !== "delivery");
    expect(warnings.map(({ type, msg }) => [type, msg])).toEqual([
      ["refunded", expect.stringContaining("no handler for this type")],
      ["disputed", expect.stringContaining("no handler for this type")],
      ["nobody", expect.stringContaining("changed no rows")],
    ] as unknown as [unknown, string][]);
  });

  test("contains no secret, signature, authorization, cookie or body", async () => {
    await using inbox = await testInbox({ config, files, environment: secrets });
    const payload = { id: "evt_1", type: "paid", note: inBody };
    const signatures = [stripeSignature(JSON.stringify(payload)), `t=1,v1=${"ab".repeat(32)}`];
    for (const signature of signatures) await deliverStripe(inbox, payload, signature);
    await deliverStripe(inbox, { ...payload, id: "evt_2", fail: true });
    await deliverStripe(inbox, { ...payload, id: { [inBody]: inBody } });
    await deliverStripe(inbox, { ...payload, id: `${inBody}\n` });
    for (const body of [`{"note":"${inBody}"`, JSON.stringify({ note: inBody }), inBody]) {
      const signature = githubSignature(body);
      signatures.push(signature.slice("sha256=".length));
      for (const given of [signature, "sha256=00", signature.slice(0, -1)]) {
        await inbox.request("/webhook/github", {
          method: "POST",
          body,
          headers: { ...secretHeaders, "x-hub-signature-256": given, "x-github-event": "push" },
        });
      }
    }
    const log = JSON.stringify(inbox.log);
    expect(inbox.log.length).toBeGreaterThan(12);
    for (const hidden of ["nobody-may-see", ...signatures, ...Object.values(secrets)])
      expect(log).not.toContain(hidden);
    for (const signature of signatures) expect(log).not.toContain(signature.slice(-20));
  });
});
