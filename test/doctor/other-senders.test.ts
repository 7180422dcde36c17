import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { diagnoseRefused } from "../../src/app/diagnose-in-folder.ts";
import { report } from "../../src/cli/verify.ts";
import type { Scheme } from "../../src/providers/schemes.ts";
import { testInbox } from "../support/test-inbox.ts";
import { BODY, examineIt, NOW, preset, signed, source, withHeaders } from "./patient.ts";

const hmacIn = (header: string) => ({ ...preset("hmac").scheme, signature: { header } }) as Scheme;

describe("a header that a preset shares with the source does not point to that preset", () => {
  test.each(["x-signature", "x-webhook-signature", "x-hub-signature-256", "x-razorpay-signature"])(
    "%s, with a wrong secret",
    async (header) => {
      const scheme = hmacIn(header);
      const delivery = await signed("hmac", "a wrong secret", { scheme });
      const { findings } = await examineIt(delivery, source("hmac", "the right secret", { scheme }));
      expect(findings.map(({ cause }) => cause)).toEqual(["unknown"]);
      expect(findings[0]?.remedy).toContain("both at the sender and for the source hmac");
    },
  );

  test("the right signature is in another header, whether the body was read or not", async () => {
    const delivery = await signed("hmac", "the right secret", { scheme: hmacIn("x-signature") });
    const settings = source("hmac", "the right secret", { scheme: hmacIn("x-plain-signature") });
    const read = await examineIt(delivery, settings);
    expect(read.findings.map(({ cause }) => cause)).toEqual(["signature_elsewhere"]);
    const unread = await examineIt({ ...delivery, body: new Uint8Array() }, settings);
    expect(unread.findings.map(({ cause }) => cause)).toEqual(["near_header"]);
    expect(unread.findings[0]?.remedy).toContain('set signature.header = "x-signature"');
  });

  test("another provider's own headers still point to it", async () => {
    const delivery = withHeaders(await signed("lemon-squeezy", "a wrong secret"), {
      "x-event-name": "order_created",
    });
    const scheme = hmacIn("x-signature");
    const { findings } = await examineIt(delivery, source("hmac", "the right secret", { scheme }));
    expect(findings[0]?.what).toContain(
      "This looks like a delivery of Lemon Squeezy: it carries x-event-name",
    );
  });
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("what was wrong with a refused token (JWT)", () => {
  const seconds = NOW / 1000;
  const claims = { iss: "https://i.example", aud: "us", iat: seconds - 4000, exp: seconds - 1000 };
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const tokenOf = (payload: object, alg = "ES256"): string => {
    const text = `${encode({ alg, kid: "k", typ: "JWT" })}.${encode(payload)}`;
    if (alg === "none") return `${text}.`;
    const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  };
  const expired = tokenOf(claims);
  const cases: [name: string, authorization: string | undefined, what: RegExp, remedy: RegExp][] = [
    ["expired", `Bearer ${expired}`, /its age is not/, /clock|tolerance/],
    ["not signed", `Bearer ${tokenOf(claims, "none")}`, /algorithm is "none"/, /./],
    ["without its prefix", expired, /comes without a prefix/, /^Set signature\.prefix = "" /],
    ["after another prefix", `JWT ${expired}`, /comes after "JWT "/, /^Set signature\.prefix = "JWT " /],
    ["for somebody else", `Bearer ${tokenOf({ ...claims, aud: "them" })}`, /audience is "them"/, /audience/],
    ["missing", undefined, /authorization is missing/, /the sender writes no such header/],
  ];
  test.each(cases)("%s", async (_, authorization, what, remedy) => {
    await using inbox = await testInbox({
      config: `[sources.idp]\nprovider = "jwt"\nevent_id = "body:$.id"\ntype = "body:$.type"\nsignature = { jwks_url = "https://i.example/jwks", issuer = "https://i.example", audience = "us" }\n`,
      clock: () => NOW,
      fetch: () =>
        Promise.resolve(
          Response.json({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256" }] }),
        ),
    });
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const { status } = await inbox.deliver(BODY, { source: "idp", headers });
    expect(status).toBe(401);
    const [refused] = inbox.refused.list("idp", 1);
    const diagnosis = await diagnoseRefused(refused!, {
      folder: inbox.folder,
      environment: {},
      nowMs: NOW,
      fetch: () => Promise.reject(new Error("nothing is fetched here")),
      outdated: () => [],
    });
    expect(diagnosis.findings.some((one) => what.test(one.what) && remedy.test(one.remedy))).toBe(true);
    const text = report(diagnosis);
    expect(text).not.toMatch(/Most likely|dashboard|does not send requests like this/);
    for (const part of (authorization ?? "")
      .split(".")
      .slice(2)
      .filter((one) => one !== ""))
      expect(text).not.toContain(part.slice(0, 10));
  });
});

const ownSource = (more: string) =>
  `[sources.own]\nprovider = "hmac"\nsecret = "env:S"\ntype = "body:$.type"\nsignature = { header = "x-sig" }\n${more}\n`;

describe("an event that cannot be found is explained with the path and the body's keys", () => {
  test.each([
    [
      'event_id = "body:$.event.id"',
      '{"ident":1,"kind":"a"}',
      "at body:$.event.id, where",
      "the keys ident, kind.",
    ],
    ['event_id = ["header:x-id", "body:$.id"]', "{}", "at header:x-id or body:$.id, where", "has no keys."],
    [
      'event_id = { join = ["body:$.a", "body:$.b"], with = ":" }',
      '{"a":1}',
      "at body:$.a and body:$.b",
      "the key a.",
    ],
    [
      'event_id = "body:$.id"\nbatch = "body:$.events[*]"',
      '{"items":[]}',
      "at body:$.events[*], where",
      "the key items.",
    ],
    ['event_id = "body:$.id"', "[1,2]", "at body:$.id, where", "The body is a list of 2."],
  ])("%s", async (more, body, place, shape) => {
    await using inbox = await testInbox({ config: ownSource(more), environment: { S: "a-secret-1" } });
    const delivery = await signed("hmac", "a-secret-1", { scheme: hmacIn("x-sig"), text: body });
    const response = await inbox.deliver(body, { source: "own", headers: delivery.headers });
    expect(response.status).toBe(400);
    expect(response.body.error.message).toContain(place);
    expect(response.body.error.message).not.toContain("key");
    const diagnosis = await diagnoseRefused(inbox.refused.list("own", 1)[0]!, {
      folder: inbox.folder,
      environment: { S: "a-secret-1" },
      nowMs: NOW,
      fetch: () => Promise.reject(new Error("nothing is fetched here")),
      outdated: () => [],
    });
    expect(diagnosis).toMatchObject({ verified: true, findings: [{ cause: "as_refused" }] });
    expect(diagnosis.findings[0]?.what).toContain(place);
    expect(diagnosis.findings[0]?.what).toContain(shape);
  });
});

describe("a source that is only a scheme has a sender, not a provider", () => {
  test.each([
    ["?KEY=a", "has the parameter KEY", false],
    ["?other=a", "not the parameter key", false],
    ["?key=", "is empty", false],
    ["", "has no query", true],
  ])("a secret in the query: %s", async (query, what, byProxy) => {
    const scheme = { kind: "static", secretIn: "query:key" } as const;
    const settings = source("static", "the right secret", { scheme });
    const delivery = {
      ...(await signed("hmac", "x", { scheme: hmacIn("x") })),
      url: `http://h/webhook/static${query}`,
    };
    const { findings, docs } = await examineIt(delivery, settings);
    const found = findings.find(({ cause }) => cause === "near_parameter");
    expect(found?.what).toContain(what);
    expect(found?.remedy).toStartWith("At the sender, enter the URL with ?key=");
    expect(found?.remedy.includes("a proxy has removed the query")).toBe(byProxy);
    expect(docs).toBe("hookonce providers static");
  });
});

const hashOf = (signed: string) => ({ ...hmacIn("x-sig"), signed }) as Scheme;

describe("the doctor tries what senders of their own often do", () => {
  test.each([
    ["{body}{secret}", "{secret}{body}"],
    ["{secret}{body}", "{body}.{secret}"],
    ["{body}", "{secret}:{body}"],
    ["{body}{secret}", "{body}"],
  ])("the source expects %s, and the sender signs %s", async (expected, sent) => {
    const delivery = await signed("hmac", "the right secret", { scheme: hashOf(sent) });
    const settings = source("hmac", "the right secret", { scheme: hashOf(expected) });
    const { findings } = await examineIt(delivery, settings);
    expect(findings.map(({ remedy }) => remedy).join()).toContain(`Set signature.signed = "${sent}"`);
  });

  test.each(["\r", "\r\n"])("the sender's secret ends with %j", async (end) => {
    const scheme = hmacIn("x-sig");
    const delivery = await signed("hmac", `the right secret${end}`, { scheme });
    const { findings } = await examineIt(delivery, source("hmac", "the right secret", { scheme }));
    expect(findings[0]?.what).toContain("ends with a carriage return");
  });
});

test("a PEM that .env has cut off at its first line is refused with the remedy", async () => {
  const config = `[sources.bank]\nprovider = "public-key"\nsecret = "env:PEM"\nevent_id = "body:$.id"\ntype = "body:$.type"\nsignature = { header = "x-sig" }\n`;
  const opened = testInbox({ config, environment: { PEM: "-----BEGIN PUBLIC KEY-----" } });
  expect(await opened.then(String, String)).toContain(
    "put the whole key in quotation marks, or keep it in a file",
  );
});

test("the name of a secret is put into a sentence without its explanation", async () => {
  const wrong = { headers: { "content-type": "application/json", "x-sig": "AAAA" } };
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = publicKey.export({ format: "pem", type: "spki" });
  const scheme = { ...preset("public-key").scheme, signature: { header: "x-sig" } } as Scheme;
  const delivery = { ...(await signed("hmac", "x", { scheme: hmacIn("x-y") })), ...wrong };
  const { findings } = await examineIt(delivery, source("public-key", pem, { scheme }));
  expect(findings.at(-1)?.remedy).toContain(
    "the secret is wrong: set the public key again, both at the sender and for the source public-key",
  );
});

describe("how the sender differs is found by trying", () => {
  test("the secret is in another header, or in the URL", async () => {
    const settings = source("static", "the secret", {
      scheme: { kind: "static", secretIn: "header:x-secret" } as Scheme,
    });
    const delivery = await signed("static", "the secret", {
      scheme: { kind: "static", secretIn: "header:x-api-key" } as Scheme,
    });
    const { findings } = await examineIt(delivery, settings);
    expect(findings).toMatchObject([
      {
        cause: "signature_written_otherwise",
        remedy: expect.stringContaining('secret_in = "header:x-api-key"'),
      },
    ]);
    const inQuery = await signed("static", "the secret", {
      scheme: { kind: "static", secretIn: "query:token" } as Scheme,
    });
    expect((await examineIt(inQuery, settings)).findings[0]?.remedy).toContain('secret_in = "query:token"');
    const wrong = withHeaders(delivery, { "x-api-key": "another secret" });
    for (const finding of (await examineIt(wrong, settings)).findings)
      expect(finding.remedy).not.toContain("x-api-key");
  });

  test("Grafana signs the time of its timestamp header", async () => {
    const scheme = preset("grafana").scheme as Extract<Scheme, { kind: "hmac" }>;
    const delivery = await signed("grafana", "the secret", {
      scheme: {
        ...scheme,
        signed: "{timestamp}:{body}",
        timestamp: { from: { header: "x-grafana-time" }, unit: "s", tolerance: 300 },
      },
    });
    const { findings } = await examineIt(delivery, source("grafana", "the secret"));
    expect(findings.map(({ remedy }) => remedy)).toEqual([
      'Set signature.timestamp = "header:x-grafana-time" and signed = "{timestamp}:{body}" for this source.',
    ]);
  });

  test.each([
    ["hubspot-v1", "hubspot-workflow"],
    ["hubspot-workflow", "hubspot-v1"],
  ])("HubSpot has signed as %s, and the source is %s", async (signer, own) => {
    const url = "https://hooks.example/webhook/it";
    const delivery = await signed(signer, "the secret", { url });
    const { findings } = await examineIt(delivery, source(own, "the secret", { publicUrl: url }));
    expect(findings.map(({ cause, remedy }) => [cause, remedy])).toEqual([
      ["other_provider", `Set provider = "${signer}" for this source.`],
    ]);
  });
});
