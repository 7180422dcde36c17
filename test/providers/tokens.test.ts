import { describe, expect, test } from "bun:test";
import { createHash, createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT, type JWTPayload } from "jose";
import type { Fetch } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { TokenScheme } from "../../src/providers/schemes/token-claims.ts";
import { examineIt } from "../doctor/patient.ts";
import { refusedStart, type TestInbox } from "../support/test-inbox.ts";
import { AT, NOW, post, recordingInbox } from "./signed-inbox.ts";

const JWKS = "https://issuer.test/jwks.json";
const ISSUER = "https://issuer.test";
const AUDIENCE = "https://hooks.example.com/webhook/it";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const next = generateKeyPairSync("ec", { namedCurve: "P-256" });
const attacker = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwk = ({ publicKey }: { publicKey: KeyObject }, more: object): object => ({
  ...publicKey.export({ format: "jwk" }),
  ...more,
});
const RSA_KEY = jwk(rsa, { kid: "r1", use: "sig", alg: "RS256" });
const EC_KEY = jwk(ec, { kid: "e1" });
const NEXT_KEY = jwk(next, { kid: "e2" });

const BODY = JSON.stringify({ id: "evt_1", type: "happened" });
const CLAIMS = { iss: ISSUER, aud: AUDIENCE, iat: AT, exp: AT + 600 };

/** A token that is right, unless the caller changes it. */
function token(claims: object = {}, header: object = {}, key: KeyObject = rsa.privateKey): Promise<string> {
  const all = Object.entries({ ...CLAIMS, ...claims }).filter(([, value]) => value !== undefined);
  return new SignJWT(Object.fromEntries(all) as JWTPayload)
    .setProtectedHeader({ alg: "RS256", kid: "r1", ...header })
    .sign(key);
}
const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });

interface Issuer {
  keys: object[];
  /** What the host answers instead of the keys. */
  answer?: (() => Response | Promise<Response>) | undefined;
  readonly fetched: string[];
  readonly fetch: Fetch;
}
function issuer(...keys: object[]): Issuer {
  const made: Issuer = {
    keys,
    fetched: [],
    fetch: (url, init) => {
      made.fetched.push(url);
      expect(init.redirect).toBe("error");
      return Promise.resolve(made.answer?.() ?? Response.json({ keys: made.keys }));
    },
  };
  return made;
}

const inboxFor = ({ fetch }: Issuer, more = "", clock?: () => number): Promise<TestInbox> =>
  recordingInbox({
    config: `[sources.it]\nprovider = "jwt"\nevent_id = "body:$.id"\ntype = "body:$.type"\n${more.includes("tolerance") ? more : ""}[sources.it.signature]\njwks_url = "${JWKS}"\nissuer = "${ISSUER}"\naudience = "${AUDIENCE}"\n${more.includes("tolerance") ? "" : more}\n`,
    sources: ["it"],
    fetch,
    ...(clock === undefined ? {} : { clock }),
  });

const said = async (inbox: TestInbox, text: string, body = BODY): Promise<string> =>
  (await post(inbox, "it", body, bearer(text))).said;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with any header, signed by `signer`. */
function handMade(header: object, claims: object, signer: (text: string) => string): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${signer(text)}`;
}

test("a token is accepted from either kind of key, and its keys are fetched once, from one URL", async () => {
  const from = issuer(RSA_KEY, EC_KEY);
  await using inbox = await inboxFor(from);
  expect(await said(inbox, await token())).toBe("processed");
  const signedByEc = await token({}, { alg: "ES256", kid: "e1" }, ec.privateKey);
  expect(await said(inbox, signedByEc)).toBe("duplicate");
  const { status } = await post(inbox, "it", BODY, { authorization: `bEARER ${signedByEc}` });
  expect(status).toBe(200);
  expect(from.fetched).toEqual([JWKS]);
});

const confused = (secret: string): string =>
  handMade({ alg: "HS256", kid: "r1" }, CLAIMS, (text) =>
    createHmac("sha256", secret).update(text).digest("base64url"),
  );

const unsigned = (alg: string): string => handMade({ alg, kid: "r1" }, CLAIMS, () => "");

describe("a token is refused before its body is read or anything is fetched", () => {
  const pem = rsa.publicKey.export({ format: "pem", type: "spki" });

  test.each<[string, () => string | Promise<string>, string]>([
    ["without a signature", () => unsigned("none"), "signature_malformed"],
    ["without a signature, in capitals", () => unsigned("NONE"), "signature_malformed"],
    [
      "with the algorithm none and a signature",
      () => handMade({ alg: "none" }, CLAIMS, () => "AAAA"),
      "signature_malformed",
    ],
    ["signed with the public key as a secret", () => confused(pem), "signature_malformed"],
    [
      "signed with the modulus as a secret",
      () => confused(String(rsa.publicKey.export({ format: "jwk" }).n)),
      "signature_malformed",
    ],
    ["of an algorithm that is not allowed", () => token({}, { alg: "RS512" }), "signature_malformed"],
    ["without an algorithm", () => handMade({}, CLAIMS, () => "AAAA"), "signature_malformed"],
    [
      "with a key's name that is no text",
      () => handMade({ alg: "RS256", kid: 1 }, CLAIMS, () => "AAAA"),
      "signature_malformed",
    ],
    ["that is not one", () => "x", "signature_malformed"],
    ["of four parts", async () => `${await token()}.AAAA`, "signature_malformed"],
    [
      "whose claims are not JSON",
      () => `${Buffer.from('{"alg":"RS256"}').toString("base64url")}.AAAA.AAAA`,
      "signature_malformed",
    ],
    [
      "whose claims are a list",
      () => `${Buffer.from('{"alg":"RS256"}').toString("base64url")}.W10.AAAA`,
      "signature_malformed",
    ],
    ["that is too long", () => token({ x: "a".repeat(9000) }), "signature_malformed"],
    ["that is empty", () => "", "signature_malformed"],
    ["of another issuer", () => token({ iss: "https://issuer.test.evil" }), "signature_mismatch"],
    ["without an issuer", () => token({ iss: undefined }), "signature_mismatch"],
    ["for another audience", () => token({ aud: "https://other.example" }), "signature_mismatch"],
    ["for several others", () => token({ aud: ["a", "b"] }), "signature_mismatch"],
    ["without an audience", () => token({ aud: undefined }), "signature_mismatch"],
  ])("%s", async (_, make, code) => {
    const from = issuer(RSA_KEY);
    await using inbox = await inboxFor(from);
    let read = false;
    const body = new ReadableStream({ pull: () => void (read = true) }, { highWaterMark: 0 });
    const response = await inbox.request("/webhook/it", {
      method: "POST",
      body,
      headers: bearer(await make()),
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect(from.fetched).toEqual([]);
    expect(read).toBe(false);
  });

  test("if there is none", async () => {
    const from = issuer(RSA_KEY);
    await using inbox = await inboxFor(from);
    expect((await post(inbox, "it", BODY, {})).said).toBe("signature_missing");
    expect((await post(inbox, "it", BODY, { authorization: "Basic YTpi" })).said).toBe("signature_malformed");
    expect(from.fetched).toEqual([]);
  });
});

describe("a token is refused", () => {
  test.each<[string, () => string | Promise<string>, string]>([
    ["if another key has signed it", () => token({}, {}, attacker.privateKey), "signature_mismatch"],
    [
      "if it brings its own key",
      () => token({}, { jwk: attacker.publicKey.export({ format: "jwk" }) }, attacker.privateKey),
      "signature_mismatch",
    ],
    [
      "if it names where its key is",
      () => token({}, { jku: "https://evil.test/", x5u: "https://evil.test/" }, attacker.privateKey),
      "signature_mismatch",
    ],
    [
      "if its claims were changed",
      async () => {
        const [header, , signature] = (await token()).split(".");
        return `${header}.${Buffer.from(JSON.stringify({ ...CLAIMS, sub: "x" })).toString("base64url")}.${signature}`;
      },
      "signature_mismatch",
    ],
    [
      "if it needs an extension",
      () => handMade({ alg: "RS256", kid: "r1", crit: ["x"], x: 1 }, CLAIMS, () => "AAAA"),
      "signature_mismatch",
    ],
    [
      "if it names a key of another kind",
      () => token({}, { alg: "ES256", kid: "r1" }, ec.privateKey),
      "signature_mismatch",
    ],
    ["if it names no key and several fit", () => token({}, { kid: undefined }), "signature_mismatch"],
    ["if it has expired", () => token({ iat: AT - 1000, exp: AT - 61 }), "timestamp_stale"],
    ["if it is not valid yet", () => token({ nbf: AT + 61 }), "timestamp_in_future"],
    ["if it never expires and is old", () => token({ exp: undefined, iat: AT - 301 }), "timestamp_stale"],
    [
      "if it never expires and has no time",
      () => token({ exp: undefined, iat: undefined }),
      "timestamp_missing",
    ],
  ])("%s", async (_, make, code) => {
    const from = issuer(RSA_KEY, jwk(attacker, { kid: "r2" }), EC_KEY);
    await using inbox = await inboxFor(from);
    expect(await said(inbox, await make())).toBe(code);
    expect(from.fetched.length).toBeLessThanOrEqual(1);
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
    expect(await said(inbox, await token())).toBe("processed");
  });
});

describe("a token is accepted", () => {
  test.each<[string, () => Promise<string>]>([
    ["for several audiences", () => token({ aud: ["x", AUDIENCE] })],
    ["a minute after its end", () => token({ exp: AT - 59 })],
    ["a minute before its begin", () => token({ nbf: AT + 60 })],
    ["without an end, for five minutes", () => token({ exp: undefined, iat: AT - 300 })],
    ["without the name of a key if there is one", () => token({}, { kid: undefined })],
  ])("%s", async (_, make) => {
    await using inbox = await inboxFor(issuer(RSA_KEY, EC_KEY));
    expect(await said(inbox, await make())).toBe("processed");
  });

  test("with a tolerance only for that time after it was made", async () => {
    await using inbox = await inboxFor(issuer(RSA_KEY), 'tolerance = "1m"\n');
    expect(await said(inbox, await token({ iat: AT - 61 }))).toBe("timestamp_stale");
    expect(await said(inbox, await token({ iat: undefined }))).toBe("timestamp_missing");
    expect(await said(inbox, await token({ iat: AT - 60 }))).toBe("processed");
  });

  test("only with the claims and the body that it must have", async () => {
    const claims =
      'claims = { email = "push@issuer.test", email_verified = "true", body_hash = "sha256:body" }\n';
    await using inbox = await inboxFor(issuer(RSA_KEY), claims);
    const hash = createHash("sha256").update(BODY).digest("hex");
    const right = { email: "push@issuer.test", email_verified: true, body_hash: hash };
    for (const wrong of [
      { email: "evil@issuer.test" },
      { email_verified: false },
      { email: undefined },
      { email: ["push@issuer.test"] },
      { body_hash: undefined },
    ])
      expect(await said(inbox, await token({ ...right, ...wrong }))).toBe("signature_mismatch");
    expect(await said(inbox, await token(right), `${BODY} `)).toBe("signature_mismatch");
    expect(await said(inbox, await token(right))).toBe("processed");
  });

  test("in another header, without a prefix, of one algorithm", async () => {
    await using inbox = await inboxFor(issuer(RSA_KEY, EC_KEY), 'header = "X-Token"\nalgorithm = "ES256"\n');
    const text = await token({}, { alg: "ES256", kid: "e1" }, ec.privateKey);
    expect((await post(inbox, "it", BODY, { "x-token": await token() })).said).toBe("signature_malformed");
    expect((await post(inbox, "it", BODY, bearer(text))).said).toBe("signature_missing");
    expect((await post(inbox, "it", BODY, { "x-token": text })).said).toBe("processed");
  });
});

const signedBy = (kid: string, key = next.privateKey): Promise<string> =>
  token({ exp: AT + 1_000_000 }, { alg: "ES256", kid }, key);

const endless = (): Response => {
  const chunk = new Uint8Array(16 * 1024).fill(32);
  return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }));
};

describe("the keys", () => {
  const MINUTE = 60_000;

  test("are fetched again for a new name, and a flood of made-up names fetches nothing more", async () => {
    let now = NOW;
    const from = issuer(EC_KEY);
    await using inbox = await inboxFor(from, "", () => now);
    expect(await said(inbox, await signedBy("e1", ec.privateKey))).toBe("processed");
    expect(from.fetched).toHaveLength(1);
    now += MINUTE;
    const flood = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => said(inbox, await signedBy(`made-up-${n}`))),
    );
    expect(from.fetched).toHaveLength(2);
    for (const one of flood) expect(["signature_mismatch", "key_unavailable"]).toContain(one);
    // A moment later nothing is fetched, not even for the right name.
    from.keys = [EC_KEY, NEXT_KEY];
    expect(await said(inbox, await signedBy("made-up"))).toBe("key_unavailable");
    expect((await post(inbox, "it", BODY, bearer(await signedBy("e2")))).status).toBe(503);
    expect(await said(inbox, await signedBy("e1", ec.privateKey))).toBe("duplicate");
    expect(from.fetched).toHaveLength(2);
    now += MINUTE;
    expect(await said(inbox, await signedBy("e2"))).toBe("duplicate");
    expect(from.fetched).toHaveLength(3);
  });

  test("are fetched again after an hour, and a key that was removed is then refused", async () => {
    let now = NOW;
    const from = issuer(EC_KEY, NEXT_KEY);
    await using inbox = await inboxFor(from, "", () => now);
    expect(await said(inbox, await signedBy("e2"))).toBe("processed");
    from.keys = [EC_KEY];
    now += 59 * MINUTE;
    expect(await said(inbox, await signedBy("e2"))).toBe("duplicate");
    expect(from.fetched).toHaveLength(1);
    now += 2 * MINUTE;
    expect(await said(inbox, await signedBy("e2"))).toBe("duplicate");
    expect(from.fetched).toHaveLength(2);
    now += MINUTE;
    expect(await said(inbox, await signedBy("e2"))).toBe("signature_mismatch");
    expect(await said(inbox, await signedBy("e1", ec.privateKey))).toBe("duplicate");
  });

  test("are used for a day if they cannot be fetched, and no longer", async () => {
    let now = NOW;
    const from = issuer(EC_KEY);
    await using inbox = await inboxFor(from, "", () => now);
    const text = await signedBy("e1", ec.privateKey);
    expect(await said(inbox, text)).toBe("processed");
    from.answer = () => Promise.reject(new Error("unreachable"));
    for (let hour = 1; hour < 24; hour++) {
      now += 60 * MINUTE;
      expect(await said(inbox, text)).toBe("duplicate");
    }
    expect(from.fetched).toHaveLength(24);
    now += 61 * MINUTE;
    expect(await said(inbox, text)).toBe("key_unavailable");
    expect(await said(inbox, text)).toBe("key_unavailable");
    expect(from.fetched).toHaveLength(25);
    from.answer = undefined;
    now += MINUTE;
    expect(await said(inbox, text)).toBe("duplicate");
  });

  test("can be fetched again although the clock was set back", async () => {
    let now = NOW;
    const from = issuer(EC_KEY);
    await using inbox = await inboxFor(from, "", () => now);
    expect(await said(inbox, await signedBy("e1", ec.privateKey))).toBe("processed");
    now -= 10 * MINUTE;
    from.keys = [NEXT_KEY];
    expect(await said(inbox, await signedBy("e2"))).toBe("duplicate");
  });

  test.each<[string, () => Response | Promise<Response>]>([
    ["no answer", () => Promise.reject(new Error("unreachable"))],
    ["an error", () => new Response("", { status: 500 })],
    ["something else", () => new Response("<html>")],
    ["JSON that is no set of keys", () => Response.json([])],
    ["an answer without end", endless],
    ["an answer of 100 kB", () => Response.json({ keys: [RSA_KEY], more: "x".repeat(100_000) })],
    ["JSON that is nested too deeply", () => new Response("[".repeat(60_000))],
  ])("cannot be had: %s; nothing is accepted, and two seconds later it is tried again", async (_, answer) => {
    let now = NOW;
    const from = issuer(RSA_KEY);
    from.answer = answer;
    await using inbox = await inboxFor(from, "", () => now);
    const response = await inbox.request("/webhook/it", {
      method: "POST",
      body: BODY,
      headers: bearer(await token()),
    });
    expect(response.status).toBe(503);
    expect(await said(inbox, await token())).toBe("key_unavailable");
    expect(from.fetched).toHaveLength(1);
    now += 1999;
    expect(await said(inbox, await token())).toBe("key_unavailable");
    expect(from.fetched).toHaveLength(1);
    from.answer = undefined;
    now += 1;
    expect(await said(inbox, await token())).toBe("processed");
  });

  test.each<[string, object]>([
    ["shared secrets", { kty: "oct", k: "AAAA", kid: "r1", alg: "HS256" }],
    ["keys for encryption", { ...RSA_KEY, use: "enc" }],
    ["keys of another algorithm", { ...RSA_KEY, alg: "RS512" }],
    ["keys that must not verify", { ...RSA_KEY, key_ops: ["encrypt"] }],
    ["incomplete keys", { kty: "RSA", kid: "r1", e: "AQAB" }],
    ["keys of another curve", { ...EC_KEY, crv: "P-384", kid: "r1" }],
    ["nothing", {}],
  ])("are not %s", async (_, key) => {
    await using inbox = await inboxFor(issuer(key, { ...NEXT_KEY }));
    expect(await said(inbox, await token())).toBe("signature_mismatch");
  });

  test("are at most a hundred", async () => {
    const many = Array.from({ length: 100 }, (_, n) => ({
      kty: "EC",
      crv: "P-256",
      x: "",
      y: "",
      kid: `k${n}`,
    }));
    await using inbox = await inboxFor(issuer(...many, RSA_KEY));
    expect(await said(inbox, await token())).toBe("signature_mismatch");
  });

  test("that are too short are not used", async () => {
    const short = generateKeyPairSync("rsa", { modulusLength: 1024 });
    await using inbox = await inboxFor(issuer(jwk(short, { kid: "r1" })));
    const text = handMade({ alg: "RS256", kid: "r1" }, CLAIMS, () => "AAAA");
    expect(await said(inbox, text)).toBe("signature_mismatch");
  });

  test("that cannot be read verify nothing", async () => {
    await using inbox = await inboxFor(issuer({ ...EC_KEY, x: "AAAA", y: "AAAA" }));
    expect(await said(inbox, await token({}, { alg: "ES256", kid: "e1" }, ec.privateKey))).toBe(
      "key_unavailable",
    );
  });
});

test("what is stored and logged of a token does not let anybody in", async () => {
  await using inbox = await inboxFor(issuer(RSA_KEY));
  const text = await token();
  expect(await said(inbox, text)).toBe("processed");
  expect(await said(inbox, await token({ aud: "x" }))).toBe("signature_mismatch");
  expect((await post(inbox, "it", BODY, { authorization: "Basic YTpi" })).said).toBe("signature_malformed");
  const kept = JSON.stringify([
    inbox.rows("select headers from hookonce_bodies"),
    inbox.refused.list("it", 9),
    inbox.log,
  ]);
  expect(kept).not.toContain(text.split(".")[2] ?? "");
  expect(kept).not.toContain("YTpi");
  expect(inbox.value("select headers ->> 'authorization' from hookonce_bodies")).toBe("[redacted]");
  // The doctor needs what the token says.
  expect(JSON.stringify(inbox.refused.list("it", 9))).toContain(".[redacted]");
});

const source = (lines: string, more = ""): string =>
  `[sources.it]\nprovider = "jwt"\n${more}event_id = "body:$.id"\ntype = "body:$.type"\n[sources.it.signature]\n${lines}`;

describe("a start is refused for", () => {
  const rest = `issuer = "${ISSUER}"\naudience = "${AUDIENCE}"\n`;
  const refused: [name: string, lines: string, problem: RegExp, more?: string][] = [
    [
      "keys over http",
      `jwks_url = "http://issuer.test/jwks"\n${rest}`,
      /signature\.jwks_url: "http:\S+ is not a URL that begins with https/,
    ],
    [
      "no issuer",
      `jwks_url = "${JWKS}"\naudience = "a"\n`,
      /signature\.issuer is missing: .* write signature\.issuer = /,
    ],
    [
      "no audience",
      `jwks_url = "${JWKS}"\nissuer = "a"\n`,
      /signature\.audience is missing: .* write signature\.audience = /,
    ],
    [
      "an empty list of issuers",
      `jwks_url = "${JWKS}"\nissuer = []\naudience = "a"\n`,
      /signature\.issuer is an empty list/,
    ],
    [
      "a shared secret's algorithm",
      `jwks_url = "${JWKS}"\nalgorithm = "sha256"\n${rest}`,
      /signature\.algorithm = "sha256" cannot be used: .*write RS256 or ES256/,
    ],
    [
      "none",
      `jwks_url = "${JWKS}"\nalgorithm = "none"\n${rest}`,
      /signature\.algorithm: "none" is not one of the choices/,
    ],
    [
      "a secret",
      `jwks_url = "${JWKS}"\n${rest}`,
      /sources\.it\.secret: the keys are fetched from signature\.jwks_url, so no secret is checked; remove it/,
      'secret = "env:S"\n',
    ],
    [
      "a template",
      `jwks_url = "${JWKS}"\nsigned = "{body}"\n${rest}`,
      /signature\.signed = "\{body\}" has no effect/,
    ],
  ];
  test.each(refused.map(([name, lines, problem, more = ""]) => [name, lines, problem, more] as const))(
    "%s",
    async (_, lines, problem, more) => {
      const { problems } = await refusedStart({
        config: source(lines, more),
        environment: { S: "a-secret" },
      });
      expect(problems.map(({ message }) => message).join("\n")).toMatch(problem);
    },
  );
});

const cut = async (text: Promise<string>): Promise<string> => (await text).replace(/[^.]+$/, "[redacted]");

describe("the doctor says", () => {
  const provider = providers.get("jwt") as Provider;
  const scheme: TokenScheme = {
    kind: "jwt",
    signature: { header: "authorization", prefix: "Bearer " },
    jwksUrl: JWKS,
    issuer: [ISSUER],
    audience: [AUDIENCE],
    claims: { email: "a@issuer.test" },
  };
  const findingsFor = async (text: string): Promise<{ what: string; facts: string }> => {
    const { findings, found, expected } = await examineIt(
      {
        method: "POST",
        url: "/webhook/it",
        headers: bearer(text),
        body: Buffer.from(BODY),
        receivedAt: NOW,
        remoteAddress: () => null,
      },
      { name: "it", provider, scheme, secrets: [] },
      { nowMs: NOW, fetch: issuer(RSA_KEY).fetch },
    );
    const facts = [...found, ...expected].map(({ label, text }) => `${label}: ${text}`).join("\n");
    return { what: findings.map(({ what, remedy }) => `${what} ${remedy}`).join("\n"), facts };
  };
  const email = { email: "a@issuer.test" };

  test.each<[string, () => Promise<string>, RegExp]>([
    [
      "that the issuer is another",
      () => token({ ...email, iss: "https://other.test" }),
      /The token's issuer is "https:\/\/other\.test", and this source expects "https:\/\/issuer\.test"\. If it is the right one, set signature\.issuer/,
    ],
    [
      "that the audience is another, although the signature is not kept",
      () => cut(token({ ...email, aud: "x" })),
      /The token's audience is "x"/,
    ],
    [
      "that a claim is another",
      () => token({ email: "b@issuer.test" }),
      /The token's claims\.email is "b@issuer\.test"/,
    ],
    [
      "that the algorithm is another",
      () => token(email, { alg: "RS512" }),
      /The token's algorithm is "RS512"/,
    ],
    [
      "that the token is old",
      () => token({ ...email, iat: AT - 7200, exp: AT - 3600 }),
      /2 h \(7200 s\) before/,
    ],
    [
      "that the key is another",
      () => token(email, {}, attacker.privateKey),
      /the token was not made with a key that is at signature\.jwks_url/,
    ],
  ])("%s", async (_, make, expected) => {
    expect((await findingsFor(await make())).what).toMatch(expected);
  });

  test("what the token says, and no more of its signature", async () => {
    const text = await token({ ...email, aud: "\u001b[2J" });
    const { facts } = await findingsFor(text);
    expect(facts).toContain('iss: "https://issuer.test"');
    expect(facts).toContain(`keys: ${JWKS}`);
    expect(facts).toContain(`exp: ${new Date((AT + 600) * 1000).toISOString()}`);
    expect(facts).not.toContain(text.split(".")[2] ?? "");
    expect(facts).not.toContain("\u001b");
  });
});
