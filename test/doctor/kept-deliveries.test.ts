import { describe, expect, test } from "bun:test";
import { diagnoseRefused } from "../../src/app/diagnose-in-folder.ts";
import { hashesOf, outdatedParts } from "../../src/app/outdated.ts";
import { secretNeeds } from "../../src/app/sources.ts";
import { readConfig } from "../../src/config/load.ts";
import { providers } from "../../src/providers/presets.ts";
import { coversUrl } from "../../src/providers/verifier.ts";
import { onlyInFullRun } from "../crash/requirements.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import type { Scheme } from "../../src/providers/schemes.ts";
import { report } from "../../src/cli/verify.ts";
import { BODY, examineIt, NOW, preset, signed, source, withHeaders } from "./patient.ts";

/** Diagnoses the delivery that was refused last, as `verify --last` does. */
async function lookAt(
  inbox: TestInbox,
  source: string,
  environment: Record<string, string>,
  started = readConfig(inbox.folder, secretNeeds, environment),
) {
  const [refused] = inbox.refused.list(source, 1);
  return diagnoseRefused(refused!, {
    folder: inbox.folder,
    environment,
    nowMs: NOW,
    fetch: () => Promise.reject(new Error("nothing is fetched here")),
    outdated: (one) => outdatedParts(started, one.name, hashesOf(one, "salt"), "salt"),
  });
}

const PUBLIC = "https://hooks.example.com/in";
/** The doctor also tries the rules of the other sources. Twilio signs the URL, and Mailgun signs no header. */
const beside = ["stripe", "mailgun", "twilio"].map((name) =>
  source(name, `the secret of ${name}`, { publicUrl: PUBLIC }),
);

describe("a delivery is diagnosed without a whole URL, whatever its headers say about the host", () => {
  const kept: [url: string, headers: Record<string, string | undefined>][] = [
    ["/webhook/x", { host: "localhost:8787" }],
    ["http://a b/webhook/x?bodySHA256=1", { host: "no host at all" }],
    ["", { host: "[::::]:99999", "x-forwarded-host": "1.2.3.999", "x-forwarded-port": "99999" }],
  ];
  const signUrls = [...providers.values()].filter(({ scheme }) => coversUrl(scheme));
  const ofEachKind = Map.groupBy(signUrls, ({ scheme }) => scheme.kind);
  const tried =
    onlyInFullRun() === undefined ? signUrls : [...ofEachKind.values()].flatMap(([first]) => first ?? []);
  const names = tried.map(({ name }) => name).concat("stripe");
  test.each(names)("%s", async (name) => {
    const made = await signed(name, "quite another secret", { url: PUBLIC });
    const settings = source(name, "the right secret", { publicUrl: PUBLIC });
    for (const [url, headers] of kept) {
      const delivery = withHeaders({ ...made, url }, headers);
      const diagnosis = await examineIt(delivery, settings, { sources: [settings, ...beside] });
      expect(diagnosis).toMatchObject({ verified: false, refusal: { code: "signature_mismatch" } });
    }
  });
});

test("a refused delivery of Twilio, beside a source that signs no URL, is diagnosed with and without a body", async () => {
  const environment = { S: "mailgun-secret-1", T: "the-right-auth-token" };
  await using inbox = await testInbox({
    config: `[sources.mailgun]\nprovider = "mailgun"\nsecret = "env:S"\n[sources.twilio]\nprovider = "twilio"\nsecret = "env:T"\npublic_url = "${PUBLIC}"\n`,
    environment,
    clock: () => NOW,
  });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const requests = [
    await signed("twilio", "wrong", { url: PUBLIC, headers: form, text: "MessageSid=SM1&Body=hi" }),
    await signed("twilio", "wrong", { url: PUBLIC }),
    { ...(await signed("twilio", "wrong", { url: PUBLIC })), method: "GET", body: new Uint8Array() },
  ];
  for (const { method, headers, body } of requests) {
    const init = { method, headers, ...(method === "GET" ? {} : { body: Buffer.from(body) }) };
    expect((await inbox.request("/webhook/twilio", init)).status).toBe(401);
    const { findings } = await lookAt(inbox, "twilio", environment);
    expect(findings.map(({ cause }) => cause)).toContain("unknown");
  }
});

const causesOf = ({ findings }: Awaited<ReturnType<typeof lookAt>>) =>
  findings.map(({ cause, proven }) => [cause, proven]);

describe("the doctor says what serve read before it was changed", () => {
  const config = `
[sources.stripe]
provider = "stripe"
secret = "env:S"
[sources.plain]
provider = "hmac"
secret = ["env:P", "env:Q"]
event_id = "body:$.id"
type = "body:$.type"
signature = { header = "x-sig" }
[sources.gitlab]
provider = "gitlab-token"
secret = "env:S"
`;
  const old = { S: "the-old-secret", P: "first-of-plain", Q: "second-of-plain" };

  async function refusing(): Promise<{ inbox: TestInbox; started: ReturnType<typeof readConfig> }> {
    const inbox = await testInbox({ config, environment: old, clock: () => NOW });
    return { inbox, started: readConfig(inbox.folder, secretNeeds, old) };
  }

  test("a secret", async () => {
    const { inbox, started } = await refusing();
    await using _ = inbox;
    const { headers } = await signed("stripe", "the-new-secret");
    expect((await inbox.deliver(BODY, { source: "stripe", headers })).status).toBe(401);
    const diagnosis = await lookAt(inbox, "stripe", { ...old, S: "the-new-secret" }, started);
    expect([diagnosis.verified, causesOf(diagnosis)]).toEqual([true, [["outdated", true]]]);
    expect(diagnosis.findings[0]).toMatchObject({
      what: "serve still has the old secret: the secret of the source stripe has changed since serve started.",
      remedy: expect.stringMatching(/^Run hookonce reload\..* then S has another value/),
    });
    expect(report(diagnosis)).toContain("It verifies with what the config says now.");
    expect(report(diagnosis)).not.toMatch(/the-(?:old|new)-secret/);
    // Nothing has changed.
    const same = await lookAt(inbox, "stripe", old, started);
    expect([same.verified, causesOf(same).flat()]).toEqual([false, expect.not.arrayContaining(["outdated"])]);
  });

  test("a secret that is sent as it is, and that is not kept", async () => {
    const { inbox, started } = await refusing();
    await using _ = inbox;
    const headers = { "x-gitlab-token": "the-new-secret" };
    expect((await inbox.deliver(BODY, { source: "gitlab", headers })).status).toBe(401);
    const diagnosis = await lookAt(inbox, "gitlab", { ...old, S: "the-new-secret" }, started);
    expect(causesOf(diagnosis)).toEqual([
      ["outdated", false],
      ["secret_sent", false],
    ]);
    expect(causesOf(await lookAt(inbox, "gitlab", old, started))).toEqual([["secret_sent", false]]);
  });

  test("another key of the source, while one of several secrets is only renamed", async () => {
    const { inbox, started } = await refusing();
    await using _ = inbox;
    const scheme = { ...preset("hmac").scheme, signature: { header: "x-signature" } } as Scheme;
    const { headers } = await signed("hmac", "second-of-plain", { scheme });
    expect((await inbox.deliver(BODY, { source: "plain", headers })).status).toBe(401);
    inbox.write({
      "hookonce.toml": `version = 1${config.replace("x-sig", "x-signature").replace("env:Q", "env:R")}`,
    });
    const diagnosis = await lookAt(inbox, "plain", { ...old, R: old.Q }, started);
    // Its body was not read, because the header was missing.
    expect(causesOf(diagnosis)).toEqual([
      ["outdated", false],
      ["not_kept", false],
    ]);
    expect(diagnosis.findings[0]?.what).toBe(
      "serve still has the old settings: [sources.plain] in hookonce.toml has changed since serve started.",
    );
  });
});

describe("a delivery with the right static secret is not blamed on the secret", () => {
  const key = "the-right-secret";
  const inQuery = `/webhook/keyed?key=${key}`;
  const multipart = { "content-type": "multipart/form-data; boundary=x" };
  const cases: [code: string, path: string, headers: Record<string, string>, body: string, fix: RegExp][] = [
    ["missing_event_id", inQuery, {}, '{"ident":1}', /^Set event_id for this source/],
    ["invalid_event_id", inQuery, {}, '{"id":{}}', /^Set event_id for this source/],
    ["invalid_event_type", inQuery, {}, '{"id":1,"type":{}}', /^Set type for this source/],
    ["invalid_json", inQuery, {}, '{"id":', /^Nothing is wrong with the secret/],
    ["invalid_multipart", inQuery, multipart, "--y", /^Nothing is wrong with the secret/],
    ["body_too_large", inQuery, {}, `"${"x".repeat(2000)}"`, /raise max_body/],
    ["missing_event_id", "/webhook/header", { "x-key": key }, "{}", /^Set event_id for this source/],
    ["missing_event_id", "/webhook/inside", {}, `{"key":"${key}"}`, /^Set event_id for this source/],
    ["signature_missing", "/webhook/inside", {}, '{"id":1}', /^Make the sender send the secret there/],
    ["not_a_batch", "/webhook/batch", { "x-key": key }, '{"id":1}', /^Set batch for this source/],
  ];
  const rules =
    'provider = "static"\nsecret = "env:K"\nevent_id = "body:$.id"\ntype = "body:$.type"\nmax_body = "1 KiB"\n';
  const config = `
[sources.keyed]
${rules}secret_in = "query:key"
[sources.header]
${rules}secret_in = "header:x-key"
[sources.inside]
${rules}secret_in = "body:$.key"
[sources.batch]
${rules}secret_in = "header:x-key"
batch = "body:$.list[*]"
`;
  test.each(cases)("%s: %s", async (code, path, headers, body, fix) => {
    await using inbox = await testInbox({ config, environment: { K: key }, clock: () => NOW });
    await inbox.request(path, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
    const source = /\/webhook\/(\w+)/.exec(path)?.[1] ?? "";
    expect(inbox.refused.list(source, 1)).toMatchObject([{ code }]);
    const diagnosis = await lookAt(inbox, source, { K: key });
    expect(diagnosis.findings).toEqual([
      {
        cause: expect.any(String),
        proven: true,
        what: expect.any(String),
        remedy: expect.stringMatching(fix),
      },
    ]);
    expect(report(diagnosis)).not.toContain("Compare the secret");
    expect(report(diagnosis)).not.toContain(key);
  });
});

test("a source with errors does not keep the doctor from another one", async () => {
  const own = '[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n';
  await using inbox = await testInbox({ config: own, environment: { S: "old" }, clock: () => NOW });
  const { headers } = await signed("stripe", "new");
  await inbox.deliver(BODY, { source: "stripe", headers });
  const others = [
    '[sources.mg2]\nprovider = "mailgun"\nsecret = "env:EMPTY"',
    '[sources.mg2]\nprovider = "mailgum"',
    '[sources.mg2]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x", id = "no path" }',
    '[sources.mg2]\nprovider = 7\nsecret = "plain"',
    '[admin]\nlisten = "nowhere"',
  ];
  for (const other of others) {
    inbox.write({ "hookonce.toml": `version = 1\n${own}${other}\n` });
    const { verified } = await lookAt(inbox, "stripe", { S: "new", EMPTY: "" });
    expect({ other, verified }).toEqual({ other, verified: true });
  }
  // Its own errors are named, and no others.
  inbox.write({ "hookonce.toml": `version = 1\n${own}${others[0]}\n` });
  const refused = await lookAt(inbox, "stripe", { S: "", EMPTY: "" }).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: "config_invalid",
    problems: [{ message: expect.stringMatching(/^sources\.stripe\.secret: env:S is empty/) }],
  });
});
