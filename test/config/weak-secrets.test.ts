import { describe, expect, test } from "bun:test";
import { createPublicKey, verify } from "node:crypto";
import { refusedStart, testInbox } from "../support/test-inbox.ts";

const OWN = 'event_id = "body:$.id"\ntype = "body:$.type"\n';
const HMAC = `provider = "hmac"\nsignature = { header = "x-sig" }\n${OWN}`;
const STATIC = `provider = "static"\nsecret_in = "header:x-token"\n${OWN}`;
const BASIC = `provider = "static"\nsecret_in = "basic"\n${OWN}`;
const PUBLIC_KEY = `provider = "public-key"\nsignature = { header = "x-sig", algorithm = "ed25519", encoding = "hex" }\n${OWN}`;
const preset = (name: string): string => `provider = "${name}"\n`;

const source = (lines: string, secret = '"env:S"'): string => `[sources.it]\nsecret = ${secret}\n${lines}`;

async function problemsWith(
  lines: string,
  environment: Record<string, string>,
  secret?: string,
): Promise<string[]> {
  const { problems } = await refusedStart({ config: source(lines, secret), environment });
  return problems.map(({ line, message }) => `${line}: ${message}`);
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const ZEROS = new Uint8Array(32);

describe("a start is refused with", () => {
  test.each<[what: string, lines: string, secret: string, shape: string]>([
    ["a key of zeros", preset("standard-webhooks"), `whsec_${base64(ZEROS)}`, "32 bytes that are all zero"],
    [
      "a key of equal bytes",
      preset("standard-webhooks"),
      `whsec_${base64(ZEROS.fill(0x61))}`,
      "that are all the same",
    ],
    ["a key of one byte", preset("standard-webhooks"), "whsec_YQ==", "is decoded to a single byte"],
    ["a hex key of zeros", preset("adyen"), "00".repeat(32), "is one character, repeated 64 times"],
    ["a hex key of equal bytes", preset("adyen"), "ab".repeat(32), "32 bytes that are all the same"],
    [
      "a hex key of zeros by the config",
      HMAC.replace("}", ', secret_encoding = "hex" }'),
      "0000",
      "is one character, repeated 4 times",
    ],
    ["one character", HMAC, "x", "is a single character"],
    ["a repeated character", preset("github"), "********", "is one character, repeated 8 times"],
    ["nothing but a prefix", preset("stripe"), "whsec_", "has nothing after its prefix"],
    ["a zero-width space", HMAC, "\u200B", "holds nothing but white space or invisible characters"],
    ["zero-width joiners", STATIC, "\u200D\u2060\u200C", "holds nothing but white space or invisible"],
    ["a no-break space and a soft hyphen", STATIC, "\u00A0\u00AD", "holds nothing but white space"],
    ["invisible characters around one", STATIC, "\u200Bx\u2060", "is a single character"],
    ["a blank Braille pattern", STATIC, "\u2800", "holds nothing but white space or invisible characters"],
    ["control characters", HMAC, "\u0001\u0002", "holds nothing but white space or invisible characters"],
    ["a secret for the query", STATIC.replace("header:x-token", "query:t"), "0000000", "repeated 7 times"],
    ["the passcode of a body", preset("figma"), "-----", "repeated 5 times"],
    ["a blank password", BASIC, "user: ", "has a password that holds nothing but white space"],
    ["a password of one character", BASIC, "user:xxx", "has a password that is one character, repeated 3"],
    ["a private key of one character", preset("braintree"), "key:zzzz", "has a private key that is one"],
    ["an API secret of one character", preset("plaid"), "client:zz", "has a secret that is one character"],
  ])("%s", async (_, lines, secret, shape) => {
    const problems = await problemsWith(lines, { S: secret });
    expect(problems).toEqual([
      expect.stringMatching(/^3: sources\.it\.secret: env:S /),
    ] as unknown as string[]);
    expect(problems[0]).toContain(shape);
    expect(problems[0]).toContain(
      "so anybody could guess it: copy the provider's secret, or choose a random",
    );
  });

  test.each([":", "user:"])("basic authentication without a password: %s", async (secret) => {
    expect(await problemsWith(BASIC, { S: secret })).toEqual([
      "3: sources.it: The secret is not user:password with a password that is not empty, which basic authentication needs.",
    ]);
  });

  test.each(["whsec_A", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwx"])(
    "base64 that was cut: %s",
    async (secret) => {
      expect(await problemsWith(preset("standard-webhooks"), { S: secret })).toEqual([
        "3: sources.it: The secret is not base64, but this provider's secrets are.",
      ]);
    },
  );

  test("one weak secret of several, each with its name", async () => {
    expect(
      await problemsWith(
        preset("github"),
        { A: "a-good-one", B: "bbbb", C: "\u200B" },
        '["env:A", "env:B", "env:C"]',
      ),
    ).toEqual([
      expect.stringContaining("secret: env:B is one character, repeated 4 times"),
      expect.stringContaining("secret: env:C holds nothing but white space or invisible characters"),
    ] as unknown as string[]);
  });

  test("a file of zero bytes", async () => {
    const { problems } = await refusedStart({
      config: source(preset("stripe"), '"file:key"'),
      files: { key: "\0\0\n" },
    });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining(
        "sources.it.secret: file:key holds nothing but white space or invisible characters",
      ),
    ] as unknown as string[]);
  });

  test("a weak verify_token", async () => {
    const { problems } = await refusedStart({
      config: source(`${preset("meta")}verify_token = "env:T"\n`),
      environment: { S: "a-good-one", T: "1111" },
    });
    expect(problems.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      "5: sources.it.verify_token: its value is one character, repeated 4 times, so anybody could guess it: choose a random one (openssl rand -hex 32) and enter it at the provider",
    ]);
  });

  const small = [
    "00".repeat(32),
    `${"00".repeat(31)}80`,
    `01${"00".repeat(31)}`,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    `ec${"ff".repeat(31)}`,
  ];
  test.each(small)("a public key for which anybody can sign: %s", async (hex) => {
    const spki = base64(
      Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(hex, "hex")]),
    );
    for (const [lines, secret] of [
      [preset("discord"), hex],
      [PUBLIC_KEY, spki],
    ] as const)
      expect(await problemsWith(lines, { S: secret })).toEqual([
        expect.stringContaining("The secret is a public key for which anybody can sign"),
      ] as unknown as string[]);
  });

  test("which is so for zeros", () => {
    const x = Buffer.alloc(32).toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const forged = Array.from({ length: 64 }, (_, n) =>
      verify(null, Buffer.from(`m${n}`), key, Buffer.alloc(64)),
    );
    expect(forged).toContain(true);
  });
});

test("no message shows the secret", async () => {
  for (const [lines, secret] of [
    [HMAC, "QQQQQQQ"],
    [BASIC, "someone:QQQQQQQ"],
    [preset("adyen"), "c7".repeat(8)],
  ] as const)
    expect(JSON.stringify(await problemsWith(lines, { S: secret }))).not.toMatch(/QQ|c7c7|someone/);
});

test.each<[string, string, string]>([
  ["two characters", HMAC, "xy"],
  ["a user without a name", BASIC, ":a-good-password"],
  ["another text with the prefix", preset("stripe"), "whsec_ab"],
])("%s are enough for a start", async (_, lines, secret) => {
  await using inbox = await testInbox({ config: source(lines), environment: { S: secret } });
  expect((await inbox.request("/healthz")).status).toBe(200);
});
