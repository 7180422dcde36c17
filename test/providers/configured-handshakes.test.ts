import { expect, test } from "bun:test";
import type { HookonceError } from "../../src/errors.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const BASE = `[sources.it]
provider = "static"
secret = "env:S"
secret_in = "query:key"
event_id = "body:$.id"
type = "body:$.type"
`;

const inboxFor = (more = ""): Promise<TestInbox> =>
  testInbox({ config: BASE + more, environment: { S: "s3cret/+ä", TOKEN: "verify me" } });

const events = (inbox: TestInbox): unknown => inbox.value("select count(*) from hookonce_events");

const post = (inbox: TestInbox, query: string, init: RequestInit = {}): Promise<Response> =>
  inbox.request(`/webhook/it${query}`, { method: "POST", body: '{"id":"1","type":"a"}', ...init });

test("a secret in the query is verified, and is neither stored nor logged", async () => {
  await using inbox = await inboxFor();
  const query = `?a=1&key=${encodeURIComponent("s3cret/+ä")}`;
  const spelled = "/webhook/it?a=1&k%65y=s3cret%2f%2b%c3%a4";
  const response = await post(inbox, query, { headers: { "x-original-uri": spelled, referer: query } });
  expect(response.status).toBe(200);
  const [row] = inbox.rows("select headers from hookonce_bodies");
  expect(row.headers).toContain("[redacted]");
  expect(`${row.headers}${JSON.stringify(inbox.log)}`).not.toMatch(/s3cret/i);
});

for (const query of [
  "",
  "?key=",
  "?key=guessed",
  "?KEY=s3cret",
  "?key=guessed&key=s3cret%2F%2B%C3%A4",
  "?key=%ff%",
]) {
  test(`refuses ${query || "no query"}, and keeps no value from the place of the secret`, async () => {
    await using inbox = await inboxFor();
    expect((await post(inbox, query)).status).toBe(401);
    expect(events(inbox)).toBe(0);
    const [refused] = inbox.refused.list("it", 1);
    expect(refused?.url).not.toMatch(/guessed|%2B|%ff/);
    expect(JSON.stringify(inbox.log)).not.toMatch(/guessed|s3cret/);
  });
}

const CHALLENGE = `verify_token = "env:TOKEN"
[[sources.it.handshake]]
when = { "query:mode" = "subscribe" }
token = "query:token"
echo = "query:challenge"
`;

test("sends back a challenge as text, JSON or a header, and refuses a wrong verify token", async () => {
  for (const [as, expected] of [
    ["text", "<b>"],
    ["json:hub.challenge", '{"hub.challenge":"<b>"}'],
    ["header:X-Challenge", ""],
  ] as const) {
    await using inbox = await inboxFor(`${CHALLENGE}as = "${as}"\n`);
    const ask = (token: string): Promise<Response> =>
      inbox.request(`/webhook/it?mode=subscribe&challenge=%3Cb%3E&token=${token}`);
    const response = await ask("verify%20me");
    expect([response.status, await response.text()]).toEqual([200, expected]);
    if (as.startsWith("header:")) expect(response.headers.get("x-challenge")).toBe("<b>");
    expect((await ask("wrong")).status).toBe(403);
    expect((await ask("")).status).toBe(403);
    expect(events(inbox)).toBe(0);
  }
});

test("a challenge that would split a header is refused", async () => {
  await using inbox = await inboxFor(`${CHALLENGE}as = "header:x-challenge"\n`);
  const asked = "/webhook/it?mode=subscribe&token=verify%20me&challenge=a%0d%0aset-cookie:b";
  expect((await inbox.request(asked)).status).toBe(403);
});

for (const method of ["HEAD", "OPTIONS"]) {
  test(`answers ${method} with 200, and only that method`, async () => {
    await using inbox = await inboxFor(`handshake = { method = "${method}" }\n`);
    expect((await inbox.request("/webhook/it", { method })).status).toBe(200);
    const get = await inbox.request("/webhook/it");
    expect([get.status, get.headers.get("allow")]).toEqual([405, `${method}, POST`]);
    expect(events(inbox)).toBe(0);
  });
}

test("an unsigned test request is answered, and everything else needs the secret", async () => {
  await using inbox = await inboxFor(
    'handshake = [{ method = "POST", when = { "header:x-event-key" = "diagnostics:ping" } }, { method = "POST", when = { "body:$.ssl_check" = "1" } }]\n',
  );
  expect((await post(inbox, "", { headers: { "x-event-key": "diagnostics:ping" } })).status).toBe(200);
  const form = { "content-type": "application/x-www-form-urlencoded" };
  expect((await post(inbox, "", { body: "ssl_check=1&token=x", headers: form })).status).toBe(200);
  expect((await post(inbox, "", { headers: { "x-event-key": "push" } })).status).toBe(401);
  expect(events(inbox)).toBe(0);
});

const SECOND = 'handshake = [\n  { method = "HEAD" },\n  { method = "POST", echo = "query:c" },\n]';

for (const [toml, message, line = 8] of [
  [SECOND, "would answer every event without recording it", 10],
  ['[[sources.it.handshake]]\necho = "query:c"\nsigned = true', "handshake.signed = true has no effect", 10],
  ['handshake = { method = "POST" }', "would answer every event without recording it; add when"],
  ['handshake = { signed = true, echo = "query:c" }', "handshake.signed = true has no effect"],
  ['handshake = { as = "text" }', 'handshake.as = "text" has no effect'],
  ['handshake = { token = "query:t" }', "verify_token, which is missing"],
  ['handshake = { echo = "body:$.c" }', "body:$.c is in the body, which a GET does not have"],
  ['handshake = { echo = "query:" }', '"query:" is not a path'],
  ['handshake = { ecco = "query:c" }', "echo"],
] as const) {
  test(`refuses ${toml}`, async () => {
    const refusal: unknown = await inboxFor(`${toml}\n`).then(
      () => undefined,
      (error: unknown) => error,
    );
    const [problem] = (refusal as HookonceError).problems;
    expect(problem?.message).toContain(message);
    expect(problem?.line).toBe(line);
  });
}
