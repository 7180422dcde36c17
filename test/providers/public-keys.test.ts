import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { generateKeyPair } from "../../src/providers/schemes/public-key.ts";
import type { PublicKeyScheme } from "../../src/providers/schemes/public-key.ts";
import { sign as signAsProvider } from "../../src/providers/verifier.ts";
import { examineIt } from "../doctor/patient.ts";
import { refusedStart } from "../support/test-inbox.ts";
import { NOW, post, recordingInbox } from "./signed-inbox.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const pem = (key: KeyObject): string => key.export({ format: "pem", type: "spki" });

const BODY = JSON.stringify({ id: "evt_1", type: "happened", note: "Grüße" });
const source = (signature: string, secret = ""): string =>
  `[sources.it]\nprovider = "public-key"\n${secret}event_id = "body:$.id"\ntype = "body:$.type"\n[sources.it.signature]\nheader = "x-sig"\n${signature}\n`;

describe.each<
  [algorithm: string, digest: string | null, keys: { publicKey: KeyObject; privateKey: KeyObject }]
>([
  ["rsa-sha256", "sha256", rsa],
  ["rsa-sha1", "sha1", rsa],
  ["rsa-sha512", "sha512", rsa],
  ["ecdsa-sha256", "sha256", ec],
  ["ed25519", null, ed],
])("%s", (algorithm, digest, { publicKey, privateKey }) => {
  const signed = (text: string, key = privateKey): Record<string, string> => ({
    "x-sig": sign(digest, Buffer.from(text), key).toString("base64"),
  });

  test.each<[string, string, string, Record<string, string>]>([
    ["as PEM in the config", `algorithm = "${algorithm}"\npublic_key = """\n${pem(publicKey)}"""`, "", {}],
    ["in a file", `algorithm = "${algorithm}"\npublic_key = "file:provider.pem"`, "", {}],
    [
      "in the environment, as the secret",
      `algorithm = "${algorithm}"`,
      'secret = "env:PEM"\n',
      { PEM: pem(publicKey) },
    ],
    [
      "in base64, as one of several",
      `algorithm = "${algorithm}"\npublic_key = ["file:provider.pem", "env:DER"]`,
      "",
      { DER: publicKey.export({ format: "der", type: "spki" }).toString("base64") },
    ],
  ])("a fixed public key %s", async (_, signature, secret, environment) => {
    await using inbox = await recordingInbox({
      config: source(signature, secret),
      sources: ["it"],
      environment,
      files: { "provider.pem": pem(publicKey) },
    });
    const valid = signed(BODY);
    for (const [body, headers] of [
      [`${BODY} `, valid],
      [BODY, { "x-sig": "" }],
      [BODY, { "x-sig": valid["x-sig"]?.slice(0, -4) ?? "" }],
      [BODY, { "x-sig": Buffer.alloc(256).toString("base64") }],
    ] as const)
      expect((await post(inbox, "it", body, headers)).status).toBe(401);
    expect((await post(inbox, "it", BODY, valid)).said).toBe("processed");
    expect((await post(inbox, "it", BODY, valid)).said).toBe("duplicate");
  });
});

test("a signature made with another key, or with another hash, is refused", async () => {
  await using inbox = await recordingInbox({
    config: source(`public_key = """${pem(rsa.publicKey)}"""`),
    sources: ["it"],
  });
  for (const [digest, key] of [
    ["sha256", other.privateKey],
    ["sha1", rsa.privateKey],
    ["sha512", rsa.privateKey],
  ] as const) {
    const headers = { "x-sig": sign(digest, Buffer.from(BODY), key).toString("base64") };
    expect((await post(inbox, "it", BODY, headers)).said).toBe("signature_mismatch");
  }
});

test("a public key that cannot be used is reported at its line", async () => {
  const config = source('public_key = "env:PRIVATE"');
  const environment = { PRIVATE: rsa.privateKey.export({ format: "pem", type: "pkcs8" }) };
  const { problems } = await refusedStart({ config, environment });
  const line = `version = 1\n${config}`.split("\n").findIndex((one) => one.startsWith("public_key")) + 1;
  expect(problems).toEqual([
    { file: "hookonce.toml", line, message: expect.stringContaining("is a private key") as string },
  ]);
});

describe("a start is refused for", () => {
  const short = generateKeyPairSync("rsa", { modulusLength: 512 });
  test.each<[string, string, RegExp, string?]>([
    [
      "a key of another kind",
      `public_key = """${pem(ec.publicKey)}"""`,
      /not a public key of this provider, which is a public key for RSA-SHA256, as PEM or in base64/,
    ],
    [
      "a key that is too short",
      `public_key = """${pem(short.publicKey)}"""`,
      /not a public key of this provider/,
    ],
    [
      "a private key in the config",
      `public_key = """${rsa.privateKey.export({ format: "pem", type: "pkcs8" })}"""`,
      /signature\.public_key is a private key: write the provider's public key/,
    ],
    [
      "a private key elsewhere",
      'public_key = "env:PRIVATE"',
      /is a private key, but only the provider may have that/,
    ],
    [
      "text that is no PEM",
      'public_key = "IIB"',
      /signature\.public_key is not a public key: write the PEM text/,
    ],
    ["an empty list", "public_key = []", /signature\.public_key is an empty list/],
    [
      "a key that is not there",
      'public_key = "file:nowhere.pem"',
      /signature\.public_key: file:nowhere\.pem cannot be read/,
    ],
    [
      "a key and a secret",
      `public_key = """${pem(rsa.publicKey)}"""`,
      /sources\.it\.secret: signature\.public_key already has the provider's key; remove one of them/,
      'secret = "env:PEM"\n',
    ],
    ["neither", "", /sources\.it\.secret is missing: .*, or write public_key = "file:path" in signature/],
    [
      "a hash instead of a signature",
      `algorithm = "sha256"\npublic_key = """${pem(rsa.publicKey)}"""`,
      /signature\.algorithm = "sha256" cannot be used: .* private key; write one of ed25519, ecdsa-sha256, rsa-sha1/,
    ],
  ])("%s", async (_, signature, problem, secret = "") => {
    const { problems } = await refusedStart({
      config: source(signature, secret),
      environment: {
        PEM: pem(rsa.publicKey),
        PRIVATE: rsa.privateKey.export({ format: "pem", type: "pkcs8" }),
      },
    });
    const messages = problems.map(({ message }) => message).join("\n");
    expect(messages).toMatch(problem);
    expect(messages).not.toContain("MII");
  });

  test("a public key where a secret is shared, which has no effect", async () => {
    const { problems } = await refusedStart({
      config: `[sources.it]\nprovider = "github"\nsecret = "env:S"\nsignature = { public_key = "file:a.pem", algorithm = "rsa-sha256" }\n`,
      environment: { S: "secret" },
      files: { "a.pem": pem(rsa.publicKey) },
    });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /signature\.public_key has no effect: provider = "github" does not sign that way; remove it/,
      ),
      expect.stringMatching(
        /signature\.algorithm = "rsa-sha256" cannot be used: .*; write one of md5, sha1, sha256, sha512/,
      ),
    ]);
  });
});

describe("the doctor says", () => {
  const provider = providers.get("public-key") as Provider;
  const scheme = { ...provider.scheme, signature: { header: "x-sig" } } as PublicKeyScheme;
  const { secret, privateKey } = generateKeyPair(scheme);
  test.each<[string, Partial<PublicKeyScheme>, string, string]>([
    [
      "that another hash is signed",
      { algorithm: "rsa-sha1" },
      "It is signed with RSA-SHA1, not RSA-SHA256",
      'signature.algorithm = "rsa-sha1"',
    ],
    [
      "that the signature is in hex",
      { encoding: "hex" },
      "written in hex instead of base64",
      'signature.encoding = "hex"',
    ],
  ])("%s", async (_, change, what, remedy) => {
    const request = {
      method: "POST",
      url: "http://localhost/webhook/it",
      headers: {},
      body: Buffer.from(BODY),
    };
    const made = await signAsProvider(
      { scheme: { ...scheme, ...change } },
      request,
      { secret, privateKey },
      NOW,
    );
    const { findings } = await examineIt(
      { ...made, receivedAt: NOW, remoteAddress: () => null },
      { name: "it", provider, scheme, secrets: [secret] },
    );
    expect(findings).toHaveLength(1);
    expect(findings[0]?.what).toContain(what);
    expect(findings[0]?.remedy).toContain(remedy);
  });
});
