import { describe, expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import type { Problem } from "../../src/errors.ts";
import { scratch } from "../cli/support/hookonce.ts";

const stripe = (name: string, secret: string, extra = "") =>
  `[sources.${name}]\nprovider = "stripe"\nsecret = ${secret}\n${extra}`;

const same = (name: string, other: string, line: number): Problem => ({
  file: "hookonce.toml",
  line,
  message: `sources.${name}: it has the same secret as sources.${other}, so each accepts the other's deliveries. Use two secrets, unless the provider has only one`,
});

const keyed = (name: string, place: string) =>
  `[sources.${name}]\nprovider = "static"\nsecret = "env:A"\nsecret_in = "${place}"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;

const square = (url: string, name = "square") =>
  `[sources.${name}]\nprovider = "square"\nsecret = "env:A"\npublic_url = "${url}"\n`;

/** What `check` warns of in an inbox folder with these files. */
async function warningsOf(
  config: string,
  files: Record<string, string> = {},
  environment: Record<string, string> | null = {},
): Promise<readonly Problem[]> {
  using inbox = scratch({ "hookonce.toml": `version = 1\n${config}`, ...files });
  Bun.spawnSync(["chmod", "-f", "600", `${inbox.path}/.env`]);
  const { warnings, problems } = await check(inbox.path, { environment, clock: Date.now });
  expect(problems).toEqual([]);
  return warnings;
}

describe("two sources with the same secret", () => {
  test.each([
    ["by one name", stripe("a", '"env:A"') + stripe("b", '"env:A"'), [same("b", "a", 7)]],
    ["by two names", stripe("a", '"env:A"') + stripe("b", '"env:B"'), [same("b", "a", 7)]],
    ["in a list", stripe("a", '"env:A"') + stripe("b", '["env:C", "env:B"]'), [same("b", "a", 7)]],
    [
      "three times",
      stripe("a", '"env:A"') + stripe("b", '"env:B"') + stripe("c", '"env:A"'),
      [same("b", "a", 7), same("c", "a", 10)],
    ],
    [
      "in different places, so that neither accepts the other's deliveries",
      `${keyed("a", "header:x-a")}${keyed("b", "header:x-b")}${stripe("c", '"env:A"')}`,
      [],
    ],
    ["only in one source", stripe("a", '["env:A", "env:B"]') + stripe("b", '"env:C"'), []],
  ])("%s", async (_, config, expected) => {
    expect(await warningsOf(config, {}, { A: "one", B: "one", C: "two" })).toEqual(expected);
  });

  test("is not looked for by commands that need no secret", async () => {
    expect(await warningsOf(stripe("a", '"env:A"') + stripe("b", '"env:A"'), {}, null)).toEqual([]);
  });
});

describe("a public_url", () => {
  test.each([
    "https://hooks.example.com/webhook/square",
    "https://hooks.example.com/webhook/square/",
    "https://hooks.example.com:8443/webhook/square?a=1",
  ])("that a route serves: %s", async (url) => {
    expect(await warningsOf(square(url), {}, { A: "a-secret" })).toEqual([]);
  });

  test("of the source default may be /webhook", async () => {
    expect(
      await warningsOf(square("https://hooks.example.com/webhook", "default"), {}, { A: "a-secret" }),
    ).toEqual([]);
  });

  test.each([
    ["https://hooks.example.com", "/"],
    ["https://hooks.example.com/webhook", "/webhook"],
    ["https://hooks.example.com/webhook/Square", "/webhook/Square"],
    ["https://hooks.example.com/hooks/square", "/hooks/square"],
  ])("that no route serves is a warning: %s", async (url, path) => {
    expect(await warningsOf(square(url), {}, { A: "a-secret" })).toEqual([
      {
        file: "hookonce.toml",
        line: 5,
        message: `sources.square.public_url: hookonce does not answer ${path}, but /webhook/square. Correct it, unless a proxy changes the path`,
      },
    ]);
  });
});

test("a value in .env that ends at a # is a warning, with its line and without the value", async () => {
  const dotEnv = [
    "# a comment # with another",
    "A=first#second",
    'B="kept#whole" # a comment',
    "C=whole # a comment",
    "export D=#nothing",
    "E='two",
    "F=lines#in quotes'",
    "  G = x#y",
  ].join("\n");
  const warnings = await warningsOf(stripe("a", '"env:A"'), { ".env": dotEnv });
  expect(warnings.map(({ file, line, message }) => [file, line, message.split(" ends ")[0]])).toEqual([
    [".env", 2, "the value of A"],
    [".env", 5, "the value of D"],
    [".env", 8, "the value of G"],
  ]);
  expect(warnings[0]?.message).toBe(
    'the value of A ends at the #, because it is not in quotes. Write A="…", or put a space before the # of a comment',
  );
  expect(JSON.stringify(warnings)).not.toContain("first");
});

test("an unclosed quotation mark and a repeated name in .env are warnings, with the line, without the value", async () => {
  const dotEnv = [
    'A="first',
    'B="second',
    'C="third" # a comment',
    "D='fourth",
    "line' # a comment",
    "  E=`fifth",
    "F=x",
    "F=y#z",
    "G=",
    'G="" # later',
    "G=x",
  ].join("\n");
  const warnings = await warningsOf(stripe("a", '"env:A"'), { ".env": dotEnv }, { A: "a-secret" });
  expect(warnings.map(({ file, line, message }) => [file, line, message])).toEqual([
    [
      ".env",
      1,
      "the quotation mark before the value of A is not closed, so the value includes the mark or the next lines. Close it at the end of the line",
    ],
    [".env", 6, expect.stringContaining("the value of E is not closed") as string],
    [".env", 8, expect.stringContaining("the value of F ends at the #") as string],
    [".env", 8, "F is set a second time, and this value is used. Remove one of the lines"],
  ]);
});

/** The lines and keys that it warns of as examples. */
async function warned(config: string, environment: Record<string, string>): Promise<unknown[]> {
  const warnings = await warningsOf(config, {}, environment);
  return warnings.map(({ line, message }) => [
    line,
    message.replace(/: its value is still the one from an example.*/, ""),
  ]);
}

describe("a value that is still the one from an example is a warning, with its line", () => {
  test.each(["whsec_…", "sk_live_…", "whsec_...", "<your secret>", "changeme", "your-secret-here"])(
    "%s as a secret",
    async (secret) => {
      expect(await warned(stripe("a", '["env:B", "env:A"]'), { A: secret, B: "real" })).toEqual([
        [4, "sources.a.secret"],
      ]);
      expect(JSON.stringify(await warningsOf(stripe("a", '"env:A"'), {}, { A: secret }))).not.toContain(
        secret,
      );
    },
  );

  test("a URL", async () => {
    expect(await warned(square("https://your.host/webhook/square"), { A: "a-secret" })).toEqual([
      [5, "sources.square.public_url"],
    ]);
  });

  test("what add writes for a JWT", async () => {
    const jwt = `[sources.j]\nprovider = "jwt"\nevent_id = "body:$.id"\ntype = "body:$.type"\nsignature.jwks_url = "https://issuer.example/jwks.json"\nsignature.issuer = "https://issuer.example"\nsignature.audience = "https://hooks.example.com/webhook/NAME"\n`;
    expect(await warned(jwt, {})).toEqual([
      [6, "sources.j.signature.jwks_url"],
      [7, "sources.j.signature.issuer"],
      [8, "sources.j.signature.audience"],
    ]);
  });

  test.each(["whsec_abc", "a.b..c", "Az<b>"])("%s is no example", async (secret) => {
    expect(await warned(stripe("a", '"env:A"'), { A: secret })).toEqual([]);
  });
});

test("a migration whose ending is in capitals is a warning", async () => {
  const files = {
    "migrations/0001.SQL": "create table t (n);",
    "migrations/README.md": "",
    "migrations/x.sql.bak": "",
  };
  expect(await warningsOf(stripe("a", '"env:A"'), files, { A: "a-secret" })).toEqual([
    {
      file: "migrations/0001.SQL",
      message: "is never applied: the ending is in capitals. Rename it to end in .sql",
    },
  ]);
});

const signing = (signed: string): string =>
  `[sources.it]\nprovider = "hmac"\nsecret = "env:A"\nsignature = { header = "x-sig", signed = "${signed}" }\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;

describe("a signature in the config", () => {
  test.each(["{body}", "{body}{secret}", "{secret}{body}|", "{header:x-a}{body}"])(
    "that protects the body is no warning: %s",
    async (signed) => {
      expect(await warningsOf(signing(signed), {}, { A: "a-secret" })).toEqual([]);
    },
  );

  test.each([
    ["{header:x-nonce}", "does not contain {body}, so anyone who has seen a delivery"],
    ["{secret}{body}", "is a plain hash that ends with the body, so anyone who has seen a delivery"],
  ])("that does not is one: %s", async (signed, why) => {
    const [warning, ...others] = await warningsOf(signing(signed), {}, { A: "a-secret" });
    expect(others).toEqual([]);
    expect(warning?.message).toStartWith(`sources.it.signature.signed: "${signed}" ${why}`);
  });
});

const limited = (provider: string, max: number) =>
  `[sources.a]\nprovider = "${provider}"\nsecret = "env:A"\nmax_failed_answers = ${max}\n`;

describe("max_failed_answers", () => {
  test.each([
    [
      limited("github", 5),
      /^sources\.a\.max_failed_answers: GitHub does not retry by itself, so a limit of 5 has no effect/,
    ],
    [limited("github", 0), undefined],
    [limited("stripe", 5), undefined],
  ])("that no event can reach: %s", async (config, expected) => {
    const found = await warningsOf(config, {}, { A: "a-long-secret" });
    expect(found).toEqual(
      expected === undefined
        ? []
        : [{ file: "hookonce.toml", line: 5, message: expect.stringMatching(expected) as string }],
    );
  });
});

describe("a dedup_window", () => {
  const lemon = '[sources.a]\nprovider = "lemon-squeezy"\nsecret = "env:A"\ndedup_window = "30d"\n';
  const zoom = '[sources.a]\nprovider = "zoom"\nsecret = "env:A"\ndedup_window = "30d"\n';

  test.each([
    [lemon, /^sources\.a\.dedup_window: no time is signed/],
    [`${zoom}tolerance = "31d"\n`, /^sources\.a\.dedup_window: the tolerance is longer than the window/],
    [zoom, undefined],
  ])("that leaves captured deliveries usable: %s", async (config, expected) => {
    const found = (await warningsOf(config, {}, { A: "a-long-secret" })).filter(({ message }) =>
      message.includes("dedup_window"),
    );
    expect(found).toEqual(
      expected === undefined
        ? []
        : [{ file: "hookonce.toml", line: 5, message: expect.stringMatching(expected) as string }],
    );
  });
});

const rule = (...types: string[]): string =>
  stripe(
    "a",
    '"env:A"',
    `newest_wins = { types = ${JSON.stringify(types)}, key = "body:$.id", version = "body:$.created" }\n`,
  );

const handlers = (...names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [`handlers/a/${name}.sql`, "select 1;"]));

describe("a rule of newest_wins", () => {
  test.each([
    [["invoice.*"], ["invoice"], undefined],
    [["invoice.*"], ["invoice.paid"], undefined],
    [["invoice.paid"], ["invoice.paid", "invoice.created", "_any"], undefined],
    [["invoice.paid", "charge.refunded"], ["_any"], undefined],
    [
      ["invoice.*"],
      ["invoice.paid", "invoice.created"],
      /invoice\.created\.sql and of handlers\/a\/invoice\.paid\.sql/,
    ],
    [["invoice.*"], ["invoice.paid", "_any"], /invoice\.paid\.sql and of handlers\/a\/_any\.sql/],
    [
      ["invoice.paid", "invoice.created"],
      ["invoice.paid", "invoice"],
      /invoice\.paid\.sql and of handlers\/a\/invoice\.sql/,
    ],
    [["*"], ["invoice", "charge"], /charge\.sql and of handlers\/a\/invoice\.sql/],
  ] as const)("for %j with handlers for %j", async (types, names, expected) => {
    const found = (await warningsOf(rule(...types), handlers(...names), { A: "whsec_a" })).filter(
      ({ message }) => message.includes("newest_wins"),
    );
    if (expected === undefined) expect(found).toEqual([]);
    else
      expect(found).toEqual([
        { file: "hookonce.toml", line: 5, message: expect.stringMatching(expected) as string },
      ]);
  });
});

test("redact is no warning: nothing is wrong with it", async () => {
  const config = stripe("a", '"env:A"', 'redact = ["body:$.data.object.email"]\n');
  expect(await warningsOf(config, {}, { A: "whsec_abcdefghijklmnopqrstuvwxyz" })).toEqual([]);
});
