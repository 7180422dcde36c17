import { expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { sign } from "../../src/providers/verifier.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { NOW } from "./signed-inbox.ts";

const NOTION = '[sources.it]\nprovider = "notion"';

const source = (provider: string, more = ""): string =>
  `[sources.it]\nprovider = "${provider}"\nsecret = "env:S"\n${more}`;

function inboxFor(provider: string, more = ""): Promise<TestInbox> {
  return testInbox({
    config: source(provider, more),
    environment: { S: "secret", TOKEN: "verify me" },
    clock: () => NOW,
  });
}

async function postSigned(
  inbox: TestInbox,
  provider: string,
  payload: unknown,
  secret = "secret",
): Promise<Response> {
  const request = await sign(
    providers.get(provider) as Provider,
    {
      method: "POST",
      url: "http://localhost/webhook/it",
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(payload)),
    },
    { secret },
    NOW,
  );
  return inbox.request("/webhook/it", { ...request, body: Buffer.from(request.body) });
}

const nothingKept = (inbox: TestInbox): void =>
  expect(inbox.value("select count(*) from hookonce_events")).toBe(0);

test("answers Slack's challenge only if it is signed", async () => {
  await using inbox = await inboxFor("slack");
  const challenge = { type: "url_verification", challenge: "<script>" };
  const response = await postSigned(inbox, "slack", challenge);
  expect([response.status, await response.text()]).toEqual([200, "<script>"]);
  expect(response.headers.get("content-type")).toStartWith("text/plain");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect((await inbox.deliver(challenge, { source: "it" })).status).toBe(401);
  nothingKept(inbox);
});

test("answers Zoom's token with its hash", async () => {
  await using inbox = await inboxFor("zoom");
  const response = await postSigned(inbox, "zoom", {
    event: "endpoint.url_validation",
    payload: { plainToken: "qgg8vlvZRS6UYooatFL8Aw" },
  });
  expect(await response.json()).toEqual({
    plainToken: "qgg8vlvZRS6UYooatFL8Aw",
    encryptedToken: new Bun.CryptoHasher("sha256", "secret").update("qgg8vlvZRS6UYooatFL8Aw").digest("hex"),
  });
  nothingKept(inbox);
});

test("with two secrets, hashes Zoom's token with the one that signed the request", async () => {
  await using inbox = await testInbox({
    config: '[sources.it]\nprovider = "zoom"\nsecret = ["env:NEW", "env:OLD"]\n',
    environment: { NEW: "new", OLD: "old" },
    clock: () => NOW,
  });
  const validation = { event: "endpoint.url_validation", payload: { plainToken: "qgg8" } };
  for (const secret of ["old", "new"]) {
    const response = await postSigned(inbox, "zoom", validation, secret);
    expect(await response.json()).toEqual({
      plainToken: "qgg8",
      encryptedToken: new Bun.CryptoHasher("sha256", secret).update("qgg8").digest("hex"),
    });
  }
  expect((await postSigned(inbox, "zoom", validation, "neither")).status).toBe(401);
});

const ask = (inbox: TestInbox, token: string): Promise<Response> =>
  inbox.request(`/webhook/it?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=${token}`);

test("answers Meta's challenge only for the right verify token", async () => {
  await using inbox = await inboxFor("meta", 'verify_token = "env:TOKEN"');
  const right = await ask(inbox, "verify%20me");
  expect([right.status, await right.text()]).toEqual([200, "1158"]);
  for (const wrong of ["", "verify", "other"]) expect((await ask(inbox, wrong)).status).toBe(403);
  expect((await inbox.request("/webhook/it")).status).toBe(403);
  const put = await inbox.request("/webhook/it", { method: "PUT" });
  expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, POST"]);

  await using without = await inboxFor("meta");
  expect((await ask(without, "")).status).toBe(403);
});

test("echoes Dropbox's challenge as text unless it is too long", async () => {
  await using inbox = await inboxFor("dropbox");
  const response = await inbox.request("/webhook/it?challenge=%3Cb%3E");
  expect([response.status, await response.text()]).toEqual([200, "<b>"]);
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect((await inbox.request(`/webhook/it?challenge=${"x".repeat(1001)}`)).status).toBe(403);
});

test("shows Notion's token once, and only while there is no secret", async () => {
  const token = { verification_token: "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl" };
  await using inbox = await testInbox({ config: NOTION, terminal: true });
  const send = () => inbox.request("/webhook/it", { method: "POST", body: JSON.stringify(token) });
  expect((await send()).status).toBe(200);
  expect((await send()).status).toBe(200);
  const shown = inbox.log.filter((line) => JSON.stringify(line).includes(token.verification_token));
  expect(shown).toHaveLength(1);
  // Without a secret nothing else is accepted.
  const event = await inbox.deliver({ id: "1", type: "page.created" }, { source: "it" });
  expect(event.body.error.code).toBe("signature_missing");
  const forged = await inbox.deliver(
    { id: "1", type: "page.created" },
    { source: "it", headers: { "x-notion-signature": `sha256=${"0".repeat(64)}` } },
  );
  expect(forged.body.error.code).toBe("signature_mismatch");
  expect(forged.body.error.message).toContain("No secret is configured");
  await inbox.restart({ config: source("notion"), files: { ".env": "S=secret" } });
  expect((await send()).status).toBe(401);
  nothingKept(inbox);
});

test("shows a token that is signed with itself, as Notion's is, and refuses one that is signed wrongly", async () => {
  await using inbox = await testInbox({ config: NOTION, clock: () => NOW, terminal: true });
  const shown = (): unknown[] => inbox.log.map(({ secret }) => secret).filter((one) => one !== undefined);
  const token = { verification_token: "secret_real" };
  expect((await postSigned(inbox, "notion", token, "secret_other")).status).toBe(401);
  expect(shown()).toEqual([]);
  expect((await postSigned(inbox, "notion", token, "secret_real")).status).toBe(200);
  expect(shown()).toEqual(["secret_real"]);
  // The source has its secret now. Notion may send it again, and nobody can replace it.
  await inbox.restart({ config: source("notion"), files: { ".env": "S=secret_real" } });
  expect((await postSigned(inbox, "notion", token, "secret_real")).status).toBe(200);
  const another = { verification_token: "attacker" };
  expect((await postSigned(inbox, "notion", another, "attacker")).status).toBe(401);
  expect(shown()).toEqual(["secret_real"]);
  expect((await postSigned(inbox, "notion", { id: "1", type: "page.created" }, "secret_real")).status).toBe(
    200,
  );
  expect(inbox.rows("select event_id from hookonce_events")).toEqual([{ event_id: "1" }]);
});

test("never writes Notion's token to a log that is kept, and says how to see it", async () => {
  await using inbox = await testInbox({ config: NOTION, clock: () => NOW });
  await postSigned(inbox, "notion", { verification_token: "secret_real" }, "secret_real");
  expect(JSON.stringify(inbox.log)).not.toContain("secret_real");
  expect(JSON.stringify(inbox.log)).toContain("hookonce verify --last --source it");
});

test("shows Notion's token even if someone else sent a token before", async () => {
  await using inbox = await testInbox({ config: NOTION, terminal: true });
  const send = async (token: unknown): Promise<number> => {
    const body = JSON.stringify({ verification_token: token });
    return (await inbox.request("/webhook/it", { method: "POST", body })).status;
  };
  const shown = (): unknown[] => inbox.log.map(({ secret }) => secret).filter((one) => one !== undefined);
  for (const token of ["attacker", "secret_real", "attacker", "secret_real"])
    expect(await send(token)).toBe(200);
  expect(shown()).toEqual(["attacker", "secret_real"]);
  const warning = inbox.log.find(({ secret }) => secret === "attacker")?.msg ?? "";
  expect(warning).toContain("the provider accepts only its own secret");
  // The log may go to a terminal.
  for (const token of ["a\u001b[2Jb", "a\nb", "", "x".repeat(1001), 7, {}]) {
    expect([400, 401, 403]).toContain(await send(token));
  }
  for (let n = 0; n < 50; n++) await send(`token-${n}`);
  expect(shown()).toHaveLength(20);
  expect(inbox.log.findLast(({ secret }) => secret !== undefined)?.msg).toContain("No more are logged");
});

test("the latest of Notion's tokens are kept to be shown, however many came before", async () => {
  const provider = providers.get("notion") as Provider;
  const { handshakes, parse } = createSource({ name: "it", provider, secrets: [] }, Date.now);
  const logged: boolean[] = [];
  for (const token of [...Array.from({ length: 50 }, (_, n) => `token-${n}`), "real", "token-49", "real"]) {
    const body = Buffer.from(JSON.stringify({ verification_token: token }));
    const delivery = {
      method: "POST",
      url: "/",
      headers: {},
      body,
      receivedAt: 0,
      remoteAddress: () => null,
    };
    const done = await handshakes?.unsigned?.(delivery, () => parse(delivery));
    expect(done?.reply.status).toBe(200);
    logged.push(done?.secret !== undefined);
  }
  expect(logged.filter(Boolean)).toHaveLength(20);
  expect([...(handshakes?.shown ?? [])]).toEqual([
    ...Array.from({ length: 19 }, (_, n) => `token-${n + 31}`),
    "real",
  ]);
});

test("answers WooCommerce's ping, and refuses requests that only look like it", async () => {
  await using inbox = await inboxFor("woocommerce");
  const send = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
    inbox.request("/webhook/it", {
      method: "POST",
      body,
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    });
  expect((await send("webhook_id=5")).status).toBe(200);
  expect((await send("webhook_id=5&order=1")).status).toBe(401);
  expect((await send("webhook_id=5", { "x-wc-webhook-signature": "AAAA" })).status).toBe(401);
  nothingKept(inbox);
});

test("answers Discord's pings of interactions and of events, and its interactions with the handler's reply", async () => {
  const { generateKeyPair } = await import("../../src/providers/schemes/public-key.ts");
  const discord = providers.get("discord") as Provider;
  if (discord.scheme.kind !== "public-key") throw new Error("another scheme");
  const { secret, privateKey } = generateKeyPair(discord.scheme);
  await using inbox = await testInbox({
    config: source("discord"),
    environment: { S: secret },
    clock: () => NOW,
    files: {
      "handlers/it/2.ts": `import { handler, reply } from "hookonce";
export default handler(({ event }) => reply({ body: { type: 4, data: { content: "hello " + event.payload.id } } }));`,
    },
  });
  const send = async (payload: unknown): Promise<[number, string]> => {
    const request = await sign(
      discord,
      {
        method: "POST",
        url: "http://localhost/webhook/it",
        headers: {},
        body: Buffer.from(JSON.stringify(payload)),
      },
      { secret, privateKey },
      NOW,
    );
    const response = await inbox.request("/webhook/it", { ...request, body: Buffer.from(request.body) });
    return [response.status, await response.text()];
  };
  expect(await send({ id: "1", type: 1, token: "t" })).toEqual([200, '{"type":1}']);
  expect(await send({ type: 0 })).toEqual([204, ""]);
  expect(await send({ type: 1, event: { type: "APPLICATION_AUTHORIZED" } })).toEqual([204, ""]);
  // A duplicate gets the same reply.
  const hello = '{"type":4,"data":{"content":"hello 7"}}';
  expect(await send({ id: "7", type: 2 })).toEqual([200, hello]);
  expect(await send({ id: "7", type: 2 })).toEqual([200, hello]);
  expect(inbox.value("select deliveries from hookonce_events where event_id = '7'")).toBe(2);
});

test("answers Xero 200 or 401 without a body", async () => {
  await using inbox = await inboxFor("xero");
  const intent = { events: [], firstEventSequence: 0, lastEventSequence: 0, entropy: "x" };
  const good = await postSigned(inbox, "xero", intent);
  expect([good.status, await good.text()]).toEqual([200, ""]);
  const bad = await inbox.request("/webhook/it", {
    method: "POST",
    body: JSON.stringify(intent),
    headers: { "x-xero-signature": "AAAA" },
  });
  expect([bad.status, await bad.text()]).toEqual([401, ""]);
});

test.each(["_any", "_weather"])("answers a Slack command with the reply of %s", async (file) => {
  await using inbox = await testInbox({
    config: source("slack"),
    environment: { S: "secret" },
    clock: () => NOW,
    files: {
      [`handlers/it/${file}.ts`]: `import { handler, reply } from "hookonce";
export default handler(({ event }) => reply({ body: event.payload.text }));`,
    },
  });
  const request = await sign(
    providers.get("slack") as Provider,
    {
      method: "POST",
      url: "http://localhost/webhook/it",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from("command=%2Fweather&text=94070&trigger_id=13345224609.738474920"),
    },
    { secret: "secret" },
    NOW,
  );
  const response = await inbox.request("/webhook/it", { ...request, body: Buffer.from(request.body) });
  expect([response.status, await response.text()]).toEqual([200, "94070"]);
});
