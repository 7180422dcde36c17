import { describe, expect, test } from "bun:test";
import { check, type Checked } from "../../src/app/check.ts";
import { scratch } from "../cli/support/hookonce.ts";

/** What `check` finds in an inbox folder with this config. */
async function checked(
  config: string,
  {
    files = {},
    environment = {},
  }: { files?: Record<string, string>; environment?: Record<string, string> } = {},
): Promise<Checked> {
  using inbox = scratch({ "hookonce.toml": `version = 1\n${config}`, ...files });
  return await check(inbox.path, { environment: { ...environment, S: "a-long-secret" }, clock: Date.now });
}

const messages = (found: readonly { line?: number | undefined; message: string }[]): string[] =>
  found.map(({ line, message }) => `${line}: ${message}`);

const GITHUB = '[sources.github]\nprovider = "github"\nsecret = "env:S"\n';
/** `forward` is line 5. */
const forward = (value: string): string =>
  `${GITHUB}forward = ${value}\n[destinations.app]\nurl = "http://app/"\nsign = "none"\n`;
/** `url` is line 7. */
const url = (text: string, first = ""): string =>
  `${first}${GITHUB}forward = ["app"]\n[destinations.app]\nurl = "${text}"\n`;
const retention = (payloads: string): string => `[retention]\npayloads = "${payloads}"\n`;
/** `command` is line 6. */
const command = (list: string): string => `${GITHUB}[destinations.deploy]\ncommand = ${list}\n`;
/** `sign` is line 8. */
const signed = (source: string, sign: string): string =>
  `[sources.in]\n${source}\nforward = ["app"]\n[destinations.app]\nurl = "http://app/"\n${sign}\n`;

describe("where", () => {
  test.each([
    [":payload ->> '$.ref' = 'refs/heads/main'", []],
    [":type = 'push' and :source = 'github' or :headers is null", []],
    [
      ":payload ->> '$.ref' =",
      [
        `5: sources.github.forward.where: near \\")\\": syntax error. It is an SQL expression, as in where = \\":payload ->> 'ref' = 'refs/heads/main'\\"`,
      ],
    ],
    [
      ":ref = 'main'",
      [
        `5: sources.github.forward.where: :ref is not a binding. Use one of :event_id, :type, :source, :received_at, :payload, :headers. It is an SQL expression, as in where = \\":payload ->> 'ref' = 'refs/heads/main'\\"`,
      ],
    ],
    [
      "(with n(i) as (select 1 union all select i + 1 from n) select max(i) from n) > 0",
      [
        `5: sources.github.forward.where: a recursive query may run without an end, and would hold up every delivery. It is an SQL expression, as in where = \\":payload ->> 'ref' = 'refs/heads/main'\\"`,
      ],
    ],
    ["(with n(i) as (select 1) select max(i) from n) > 0", []],
  ])("%s", async (where, expected) => {
    const { problems } = await checked(forward(`[{ to = "app", where = "${where}" }]`));
    expect(messages(problems)).toEqual(expected.map((one) => one.replaceAll('\\"', '"')));
  });

  test("may read the user's tables, with the pending migrations", async () => {
    const config = forward(
      `["app", { to = "other", where = "exists (select 1 from repositories where name = :payload ->> '$.repository.name')" }]\n[destinations.other]\nurl = "http://other/"\nsign = "none"`,
    );
    const migration = { "migrations/0001.sql": "create table repositories (name text) strict;" };
    expect((await checked(config, { files: migration })).problems).toEqual([]);
    expect(messages((await checked(config)).problems)).toEqual([
      expect.stringContaining("sources.github.forward.where: no such table: repositories") as string,
    ]);
  });
});

describe("the URL of a destination", () => {
  test("must have paths that can be read", async () => {
    const { problems, code } = await checked(url("http://app/{source}/{body:ref}"));
    expect(messages(problems)).toEqual([
      `7: destinations.app.url: "body:ref" is not a path: write a path such as body:$.data.id or body:$.items[0]['event id'].`,
    ]);
    expect(code).toBe("config_invalid");
  });

  const LOOP =
    "7: destinations.app.url: this is hookonce itself, so each message comes back as a delivery. Write the address of your application";
  test.each([
    ["http://127.0.0.1:8787/webhook/github", LOOP],
    ["http://localhost:8787/other", LOOP],
    ["http://[::1]:8787/{source}", LOOP],
    ["http://0.0.0.0:8787/", LOOP],
    [
      "http://169.254.169.254/latest/meta-data",
      "7: destinations.app.url: no message is sent to 169.254.169.254, because it is a link-local address. Write another address",
    ],
    [
      "http://0xA9FEA9FE/",
      "7: destinations.app.url: no message is sent to 169.254.169.254, because it is a link-local address. Write another address",
    ],
    [
      "http://[fe80::1]/",
      "7: destinations.app.url: no message is sent to fe80::1, because it is a link-local address. Write another address",
    ],
  ])("%s is warned of", async (text, warning) => {
    const { problems, warnings, configWarnings } = await checked(url(text));
    expect([problems, messages(warnings)]).toEqual([[], [warning]]);
    // A start logs it, too.
    expect(configWarnings).toEqual(warnings);
  });

  test.each([
    "http://127.0.0.1:3000/webhooks/{source}",
    "http://192.168.1.5:8787/",
    "https://app.example.com/{body:$.repository.name}?ref={body:$.ref}",
    "http://[fd00::1]/",
  ])("%s is as it should be", async (text) => {
    const { problems, warnings } = await checked(url(text));
    expect([problems, warnings]).toEqual([[], []]);
  });

  test("gets a warning if it is where the provider delivers to", async () => {
    const square = `[sources.square]\nprovider = "square"\nsecret = "env:S"\npublic_url = "https://hooks.example.com/webhook/square"\nforward = ["app"]\n[destinations.app]\nurl = "https://hooks.example.com/webhook/github"\nsign = "none"\n`;
    expect(messages((await checked(square)).warnings)).toEqual([LOOP.replace("7:", "8:")]);
  });
});

describe("retention.payloads", () => {
  const STRIPE = '[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n';

  test("gets a warning if the provider may still deliver an event whose payload is removed", async () => {
    expect(messages((await checked(STRIPE + retention("1d"))).warnings)).toEqual([
      '6: retention.payloads: 1d is shorter than the 3d for which Stripe may deliver an event again (sources.stripe), so the payload of an event may be removed before its last delivery arrives. Write at least "3d"',
    ]);
  });

  test("may be as long as the provider retries", async () => {
    expect((await checked(STRIPE + retention("3d"))).warnings).toEqual([]);
  });
});

describe("the types of forward", () => {
  test.each([
    [
      '["issues"]',
      '5: sources.github.forward.types: "issues" is not the whole type of an event of GitHub, as "issues.assigned" is. For all types that begin with it, write "issues.*"',
    ],
    [
      '["push", "psuh"]',
      '5: sources.github.forward.types: hookonce knows no event type "psuh" of GitHub; did you mean push?',
    ],
  ])("%s has an unknown one", async (types, warning) => {
    const { problems, warnings } = await checked(forward(`[{ to = "app", types = ${types} }]`));
    expect([problems, messages(warnings)]).toEqual([[], [warning]]);
  });

  test.each(['["push"]', '["issues.*"]', '["issues.opened", "*"]'])("%s are known", async (types) => {
    expect((await checked(forward(`[{ to = "app", types = ${types} }]`))).warnings).toEqual([]);
  });
});

describe("a command", () => {
  test("that is missing is a problem, but no reason to refuse a start", async () => {
    const { problems, failing, configWarnings } = await checked(command('["./deploy.sh"]'));
    expect([problems, configWarnings]).toEqual([[], []]);
    expect(messages(failing)).toEqual([
      expect.stringMatching(
        /^6: destinations\.deploy\.command: "\.\/deploy\.sh" does not exist in /,
      ) as string,
    ]);
    using inbox = scratch({ "hookonce.toml": `version = 1\n${command('["./deploy.sh"]')}` });
    const start = { environment: { S: "a-long-secret" }, clock: Date.now, forStart: true };
    const started = await check(inbox.path, start);
    expect([started.problems, started.configWarnings]).toEqual([[], started.failing]);
    expect(started.failing).toHaveLength(1);
  });

  test("that is not executable is a problem, too", async () => {
    const { failing } = await checked(command('["./deploy.sh"]'), {
      files: { "deploy.sh": "#!/bin/sh\n" },
    });
    expect(messages(failing)).toEqual([
      expect.stringContaining('"./deploy.sh" is not executable. Run: chmod +x ') as string,
    ]);
  });

  test("is not looked for by commands that send nothing", async () => {
    using inbox = scratch({ "hookonce.toml": `version = 1\n${command('["./deploy.sh"]')}` });
    expect(await check(inbox.path, { environment: null, clock: Date.now })).toMatchObject({
      problems: [],
      failing: [],
    });
  });
});

describe("signing", () => {
  const PUBLIC_KEY = `provider = "discord"\nsecret = "env:KEY"`;
  const environment = { KEY: "a1".repeat(32) };

  test("as the provider signs is refused if nobody else can sign like that", async () => {
    const config = signed(PUBLIC_KEY, 'sign = "provider"');
    const { problems, code } = await checked(config, { environment });
    expect([messages(problems), code]).toEqual([
      [
        '8: destinations.app.sign: Deliveries of source "in" cannot be signed again, because their provider signs with a private key that nobody else has. Write sign = "standard-webhooks" and a secret of your own for the destination, or sign = "none" to send them on with the signature that they came with.',
      ],
      "config_invalid",
    ]);
    // It is the default.
    expect((await checked(signed(PUBLIC_KEY, ""), { environment })).problems).toHaveLength(1);
  });

  test.each([
    [PUBLIC_KEY, 'sign = "none"'],
    [PUBLIC_KEY, 'sign = "standard-webhooks"\nsecret = "env:S"'],
    ['provider = "stripe"\nsecret = "env:S"', 'sign = "provider"'],
    ['provider = "stripe"\nsecret = "env:S"', ""],
  ])("of %j with %j is possible", async (source, sign) => {
    expect((await checked(signed(source, sign), { environment })).problems).toEqual([]);
  });

  test("is not looked at for a command", async () => {
    const config = `[sources.in]\n${PUBLIC_KEY}\nforward = ["app"]\n[destinations.app]\ncommand = ["/bin/sh"]\n`;
    const { problems, failing } = await checked(config, { environment });
    expect([problems, failing]).toEqual([[], []]);
  });

  test.each([
    ["whsec_not-base64!", "its value after whsec_ is not base64"],
    ["whsec_", "its value has nothing after its prefix, so anybody could guess it"],
    ["aaaaaaaa", "its value is one character, repeated 8 times, so anybody could guess it"],
  ])("with the secret %j is refused", async (secret, what) => {
    const { problems } = await checked(signed(PUBLIC_KEY, 'sign = "standard-webhooks"\nsecret = "env:APP"'), {
      environment: { ...environment, APP: secret },
    });
    expect(messages(problems)).toEqual([
      `9: destinations.app.secret: ${what}: copy the receiver's secret, or choose a random one (openssl rand -base64 32)`,
    ]);
  });
});

test("secrets and URLs from examples get a warning", async () => {
  const config = `${GITHUB}[destinations.app]\nurl = "https://your.host/hook"\nsign = "standard-webhooks"\nsecret = "env:A"\nheaders = { authorization = "env:B" }\n`;
  const { warnings } = await checked(config, { environment: { A: "changeme", B: "your-token" } });
  const text = "its value is still the one from an example. Replace it with the real one";
  expect(messages(warnings)).toEqual([
    `6: destinations.app.url: ${text}`,
    `8: destinations.app.secret: ${text}`,
    `9: destinations.app.headers: ${text}`,
  ]);
});

test("a source that sends on may have handlers, too", async () => {
  const { problems, warnings } = await checked(forward('["app"]'), {
    files: { "handlers/github/push.sql": "select 1;" },
  });
  expect([problems, warnings]).toEqual([[], []]);
});
