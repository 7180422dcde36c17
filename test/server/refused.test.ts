import { describe, expect, test } from "bun:test";
import { diagnoseInFolder } from "../../src/app/diagnose-in-folder.ts";
import { HookonceError, type ErrorCode } from "../../src/errors.ts";
import { createSocketApp } from "../../src/http/admin/listener.ts";
import { createAdminApp } from "../../src/http/admin/routes.ts";
import { createRefusedRing, deliveryOf, type RingLimits } from "../../src/http/refused.ts";
import { providers } from "../../src/providers/presets.ts";
import { createSource } from "../../src/providers/source.ts";
import { adminInbox } from "../support/admin-inbox.ts";
import { testInbox } from "../support/test-inbox.ts";

const SECRET = "s3cret-of-the-source";

const config = `
[sources.stripe]
provider = "stripe"
secret = "env:S"
max_body = "3 MiB"
[sources.gitlab]
provider = "gitlab-token"
secret = "env:S"
[sources.figma]
provider = "figma"
secret = "env:S"
`;

const inboxOf = () => testInbox({ config, environment: { S: SECRET }, clock: () => 1_700_000_000_000 });

test("keeps a refused delivery as it came, with why it was refused", async () => {
  await using inbox = await inboxOf();
  const body = '{"id":"evt_1"}';
  const headers = { "stripe-signature": "t=1,v1=00", cookie: "session=1" };
  const { status } = await inbox.deliver(body, { source: "stripe", headers });
  expect(status).toBe(401);
  expect(inbox.refused.list("stripe", 20)).toEqual([
    {
      id: 1,
      source: "stripe",
      receivedAt: 1_700_000_000_000,
      method: "POST",
      url: "/webhook/stripe",
      headers: expect.objectContaining({ "stripe-signature": "t=1,v1=00", cookie: "[redacted]" }),
      body: new Uint8Array(Buffer.from(body)),
      code: expect.stringMatching(/^(?:signature|timestamp)_/),
      message: expect.any(String),
    },
  ]);
});

test("keeps no body that was not read or is larger than 1 MiB", async () => {
  await using inbox = await inboxOf();
  await inbox.deliver("{}", { source: "stripe" });
  await inbox.deliver("x".repeat(1024 ** 2 + 1), {
    source: "stripe",
    headers: { "stripe-signature": "t=1700000000,v1=00" },
  });
  expect(inbox.refused.list("stripe", 20).map(({ code, body }) => [code, body])).toEqual([
    ["signature_mismatch", "too_large"],
    ["signature_missing", "not_read"],
  ]);
});

test("blanks what was sent in the place of a static secret, whatever it is, and keeps no body that may hold it", async () => {
  await using inbox = await inboxOf();
  await inbox.deliver("{}", {
    source: "gitlab",
    headers: { "x-gitlab-token": "the-secret-of-another-project" },
  });
  await inbox.deliver({ passcode: "the-secret-of-another-team", event_type: "PING" }, { source: "figma" });
  const kept = inbox.refused.list(undefined, 20);
  expect(kept.map(({ source, code }) => [source, code])).toEqual([
    ["figma", "signature_mismatch"],
    ["gitlab", "signature_mismatch"],
  ]);
  const text = JSON.stringify(kept);
  for (const secret of ["another", SECRET]) expect(text).not.toContain(secret);
});

test("a delivery without its static secret is kept for the doctor, which names the misspelt parameter", async () => {
  const environment = { S: SECRET };
  await using inbox = await testInbox({
    config: '[sources.strava]\nprovider = "strava"\nsecret = "env:S"\nsecret_in = "query:token"\n',
    environment,
  });
  const response = await inbox.request(`/webhook/strava?tokn=${SECRET}`, { method: "POST", body: "{}" });
  expect(response.status).toBe(401);
  expect(await response.text()).not.toContain("tokn");
  const [refused] = inbox.refused.list("strava", 1);
  expect(refused).toMatchObject({ url: "/webhook/strava?tokn=[redacted]", body: "not_read" });
  const { findings } = await diagnoseInFolder(deliveryOf(refused!)!, {
    folder: inbox.folder,
    source: "strava",
    environment,
    nowMs: Date.now(),
    fetch: () => Promise.reject(new Error("nothing is fetched here")),
  });
  expect(findings.map(({ cause, what }) => [cause, what])).toEqual([
    ["near_parameter", "The URL has the parameter tokn, but this source expects the secret in token."],
  ]);
});

test.each([
  ["?key=", "The parameter key of the URL is empty, so the secret is missing."],
  ["?a=b&key=", "The parameter key of the URL is empty, so the secret is missing."],
  [
    "?my=an-old-one",
    "The URL has a query, but not the parameter key, in which this source expects the secret.",
  ],
  ["?an-old-one", "The URL has a query, but not the parameter key, in which this source expects the secret."],
  ["?kkey=an-old-one", "The URL has the parameter kkey, but this source expects the secret in key."],
])("the doctor says what the URL of a kept delivery lacks: %s", async (query, says) => {
  const environment = { S: SECRET };
  await using inbox = await testInbox({
    config: '[sources.strava]\nprovider = "strava"\nsecret = "env:S"\nsecret_in = "query:key"\n',
    environment,
  });
  await inbox.request(`/webhook/strava${query}`, { method: "POST", body: "{}" });
  const [refused] = inbox.refused.list("strava", 1);
  expect(JSON.stringify(refused)).not.toContain("an-old-one");
  const { findings } = await diagnoseInFolder(deliveryOf(refused!)!, {
    folder: inbox.folder,
    source: "strava",
    environment,
    nowMs: Date.now(),
    fetch: () => Promise.reject(new Error("nothing is fetched here")),
  });
  expect(findings.map(({ what }) => what)).toEqual([says]);
});

describe("no spelling of a secret is kept, logged or answered", () => {
  const STATIC = "s3cr/et+va lue==";
  const escaped = encodeURIComponent(STATIC);
  const spellings = [
    escaped,
    escaped.replaceAll(/%../g, (one) => one.toLowerCase()),
    encodeURI(STATIC),
    escaped.replace("%2F", "/"),
    encodeURIComponent(escaped),
  ];
  const inQuery = (secretIn = "query:token") =>
    testInbox({
      config: `[sources.strava]\nprovider = "static"\nsecret = "env:S"\nsecret_in = "${secretIn}"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`,
      environment: { S: STATIC },
      files: { "handlers/strava/_any.sql": "select 1;" },
    });

  test.each(spellings)("%s", async (spelling) => {
    await using inbox = await inQuery();
    const answers: string[] = [];
    const post = async (path: string, id: string, headers = {}): Promise<number> => {
      const body = JSON.stringify({ id, type: "t", copy: spelling });
      const response = await inbox.request(path, { method: "POST", body, headers });
      answers.push(await response.text());
      return response.status;
    };
    const copies = { "x-original-uri": `/webhook/strava?token=${spelling}`, "x-copy": `${spelling}!` };
    expect(await post(`/webhook/strava?token=${escaped}`, "e1", copies)).toBe(200);
    for (const path of ["?tokn=", "?Token=", "?", "?a=1&", "?token=no&x="])
      expect(await post(`/webhook/strava${path}${spelling}`, "e2", copies)).toBe(401);
    for (const path of ["/webhook/strava/", "/webhook/", "/strava/", "/hooks/a/"])
      expect(await post(`${path}${spelling}`, "e3")).toBe(404);
    const tables = ["hookonce_bodies", "hookonce_events"].map((one) => inbox.rows(`select * from ${one}`));
    const bodies = inbox.rows("select cast(bytes as text) from hookonce_bodies");
    const kept = JSON.stringify([answers, inbox.log, inbox.refused.list(undefined, 20), tables, bodies]);
    for (const one of [STATIC, ...spellings, "s3cr"]) expect(kept).not.toContain(one);
    expect(inbox.refused.list("strava", 20).map(({ url }) => url)).toEqual([
      "/webhook/strava?token=[redacted]&x=[redacted]",
      "/webhook/strava?a=[redacted]&[redacted]",
      "/webhook/strava?[redacted]",
      "/webhook/strava?Token=[redacted]",
      "/webhook/strava?tokn=[redacted]",
    ]);
  });

  test("a wrong secret under another name is not kept either", async () => {
    await using query = await inQuery();
    for (const path of ["?tokn=0ld-0ne", "?0ld-0ne", "?0ld-0ne==", "?a=0ld-0ne&token=", "?token=0ld-0ne"])
      await query.request(`/webhook/strava${path}`, { method: "POST", body: "{}" });
    await query.request("/webhook/strava/0ld-0ne", { method: "POST", body: "{}" });
    expect(query.refused.list("strava", 20)).toHaveLength(5);
    expect(query.refused.list("strava", 20)[1]?.url).toBe("/webhook/strava?a=[redacted]&token=");
    expect(JSON.stringify([query.refused.list("strava", 20), query.log])).not.toContain("0ld-0ne");
    expect(query.log.at(-1)).toMatchObject({ source: "/webhook/strava/[redacted]" });

    await using header = await inQuery("header:x-token");
    const headers = { "x-tokn": "0ld-0ne", "content-type": "application/json" };
    await header.request("/webhook/strava?q=0ld-0ne", { method: "POST", body: "{}", headers });
    const [refused] = header.refused.list("strava", 1);
    expect(refused).toMatchObject({ url: "/webhook/strava?q=[redacted]", code: "signature_missing" });
    expect(refused?.headers).toMatchObject({ "x-tokn": "[redacted]", "content-type": "application/json" });
  });

  test("the secret of a delivery that was meant for another source is not kept", async () => {
    await using inbox = await inboxOf();
    const headers = { "x-gitlab-token": "of-gitlab", "x-telegram-bot-api-secret-token": "of-telegram" };
    await inbox.request("/webhook/stripe", { method: "POST", body: "{}", headers });
    const kept = inbox.refused.list("stripe", 1);
    expect(Object.keys(kept[0]?.headers ?? {})).toEqual(expect.arrayContaining(Object.keys(headers)));
    expect(JSON.stringify(kept)).not.toMatch(/of-gitlab|of-telegram/);
  });

  test("a signing key is not kept if somebody sends it", async () => {
    await using inbox = await inboxOf();
    const headers = { "x-key": SECRET, "stripe-signature": "t=1,v1=00" };
    await inbox.request(`/webhook/stripe?key=${SECRET}`, { method: "POST", body: "{}", headers });
    await inbox.request(`/webhook/stripe/${SECRET}`, { method: "POST", body: "{}" });
    const kept = inbox.refused.list("stripe", 20);
    expect(kept[0]).toMatchObject({ url: "/webhook/stripe?key=[redacted]" });
    expect(kept[0]?.headers).toMatchObject({ "x-key": "[redacted]", "stripe-signature": "t=1,v1=00" });
    expect(JSON.stringify([kept, inbox.log])).not.toContain(SECRET);
  });
});

test.each(["", "a-token-of-mine"])("a verify token is not kept: %j", async (mine) => {
  await using inbox = await testInbox({
    config: '[sources.meta]\nprovider = "meta"\nsecret = "env:S"\nverify_token = "env:V"\n',
    environment: { S: SECRET, V: "a-token-of-mine" },
  });
  const token = mine === "" ? "a-token-of-another" : mine;
  const name = mine === "" ? "hub%2Everify_token" : "hub.verify_token";
  const url = `/webhook/meta?hub.mode=subscribe&${name}=${token}&hub.challenge=1`;
  await inbox.request(url, { method: "POST", body: "{}", headers: { referer: `/x?t=${mine}` } });
  const [refused] = inbox.refused.list("meta", 1);
  expect(refused?.url).toBe(`/webhook/meta?hub.mode=subscribe&${name}=[redacted]&hub.challenge=1`);
  expect(JSON.stringify([refused, inbox.log])).not.toContain("a-token-of");
});

test("keeps nothing of a delivery that is processed, or refused for a reason of hookonce's own", async () => {
  await using inbox = await testInbox({ files: { "handlers/default/_any.sql": "select 1;" } });
  await inbox.deliver({ event_id: "evt_1", type: "a" });
  inbox.refuse();
  expect((await inbox.deliver({ event_id: "evt_2", type: "a" })).status).toBe(503);
  expect(inbox.refused.list(undefined, 20)).toEqual([]);
});

const source = createSource({ name: "a", provider: providers.get("github")!, secrets: ["s"] }, Date.now);
const head = {
  method: "POST",
  url: "http://localhost/webhook/a?x=1",
  headers: {},
  remoteAddress: () => null,
};

function fill(limits: RingLimits, sizes: readonly (readonly [source: string, bytes: number])[]) {
  const ring = createRefusedRing(limits);
  for (const [at, [name, bytes]] of sizes.entries())
    ring.keep(
      { ...source, name },
      head,
      () => at,
      new Uint8Array(bytes),
      new HookonceError("signature_mismatch", "no"),
    );
  return ring;
}

test("keeps the last twenty of each source", () => {
  const sizes = Array.from({ length: 50 }, (_, at) => [at % 2 === 0 ? "a" : "b", 1] as const);
  const ring = fill({ perSource: 20, total: 1e6, body: 1e6 }, sizes);
  expect(ring.list("a", 100).map(({ receivedAt }) => receivedAt)).toEqual(
    Array.from({ length: 20 }, (_, at) => 48 - 2 * at),
  );
  expect(ring.list(undefined, 3).map(({ receivedAt }) => receivedAt)).toEqual([49, 48, 47]);
});

test("drops the oldest of all sources when all of them take more than the limit", () => {
  const ring = fill({ perSource: 20, total: 10_000, body: 1e6 }, [
    ["a", 4000],
    ["b", 4000],
    ["b", 4000],
    ["c", 9999],
  ]);
  // The last one alone takes more than there is.
  expect(ring.list(undefined, 100)).toEqual([]);
  expect(
    fill({ perSource: 20, total: 10_000, body: 1e6 }, [
      ["a", 4000],
      ["b", 4000],
      ["b", 4000],
    ])
      .list(undefined, 100)
      .map(({ receivedAt }) => receivedAt),
  ).toEqual([2, 1]);
});

test("is shown by the API, with bodies on demand", async () => {
  const ring = fill({ perSource: 20, total: 1e6, body: 10 }, [
    ["a", 3],
    ["b", 11],
  ]);
  const asked: number[] = [];
  const verdict = { verified: false, code: "signature_mismatch", message: "no", findings: [], docs: "" };
  const admin = createAdminApp(
    adminInbox({
      refused: ring,
      verdictOf({ id }) {
        asked.push(id);
        return Promise.resolve(verdict);
      },
    }),
  );
  const get = async (query: string) => {
    const response = await createSocketApp(admin).request(`/api/refused${query}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const item = {
    method: "POST",
    url: "/webhook/a?x=1",
    headers: {},
    code: "signature_mismatch" satisfies ErrorCode,
    message: "no",
  };
  expect(await get("?body=true")).toEqual({
    status: 200,
    body: {
      items: [
        { ...item, id: 2, source: "b", received_at: 1, body: null, body_missing: "too_large" },
        { ...item, id: 1, source: "a", received_at: 0, body: "AAAA", body_missing: null },
      ],
      next: null,
    },
  });
  expect((await get("?source=a")).body["items"]).toEqual([
    { ...item, id: 1, source: "a", received_at: 0, body: null, body_missing: null },
  ]);
  expect((await get("?limit=0")).status).toBe(400);
  // The doctor works only when it is asked about one delivery.
  expect(asked).toEqual([]);
  expect((await get("?verdict=true")).status).toBe(400);
  expect((await get("?id=9&verdict=true")).body["items"]).toEqual([]);
  expect(asked).toEqual([]);
  expect((await get("?id=1&verdict=true")).body["items"]).toEqual([
    { ...item, id: 1, source: "a", received_at: 0, body: null, body_missing: null, verdict },
  ]);
  const both = await Promise.all([get("?id=1&verdict=true"), get("?id=2&verdict=true")]);
  expect(both.map(({ status }) => status)).toEqual([200, 503]);
  expect(asked).toEqual([1, 1]);
});

test("status counts what was refused since the last minute was written, and counts it once", async () => {
  await using inbox = await inboxOf();
  const app = createSocketApp(createAdminApp(adminInbox({ refused: inbox.refused })));
  const refusedToday = async (): Promise<unknown> => {
    const { today } = (await (await app.request("/api/status")).json()) as { today: { refused: number } };
    return today.refused;
  };
  expect(await refusedToday()).toBe(0);
  for (const source of ["stripe", "stripe", "gitlab"]) await inbox.deliver("{}", { source });
  expect(await refusedToday()).toBe(3);
  inbox.refused.takeCounts();
  expect(await refusedToday()).toBe(0);
});
