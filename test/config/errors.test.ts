import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "../../src/app/check.ts";
import { loadConfig } from "../../src/config/load.ts";
import { HookonceError, type Problem } from "../../src/errors.ts";
import { secretNeeds } from "../../src/app/sources.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { refusedStart } from "../support/test-inbox.ts";

/** The problems of this `hookonce.toml`, which includes its `version`. */
function problemsOf(toml: string, environment: Record<string, string> = {}): readonly Problem[] {
  const folder = temporaryFolder("config");
  try {
    writeFileSync(join(folder, "hookonce.toml"), toml);
    loadConfig(folder, secretNeeds, environment);
    return [];
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    expect(error.code).toBe("config_invalid");
    return error.problems;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SOURCE = '[sources.default]\nprovider = "unsigned"\n';

describe("a mistake in the config is reported with its line, its field and the remedy", () => {
  const scenarios: { name: string; toml: string; problems: [line: number | undefined, message: string][] }[] =
    [
      {
        name: "no version",
        toml: SOURCE,
        problems: [[undefined, "version is missing: write version = 1"]],
      },
      {
        name: "a later version",
        toml: `version = 2\n${SOURCE}`,
        problems: [[1, "version: 2 is unknown to this hookonce: write version = 1"]],
      },
      {
        name: "a mistyped key",
        toml: `version = 1\nlisten_on = "127.0.0.1:1"\n${SOURCE}`,
        problems: [[2, "listen_on is not a key; did you mean listen?"]],
      },
      {
        name: "an unknown key",
        toml: `version = 1\ncolour = "blue"\n${SOURCE}`,
        problems: [
          [
            2,
            "colour is not a key; choose from version, listen, database, admin, alerts, convert_to_wal, retention, sources, destinations",
          ],
        ],
      },
      {
        name: "redact that is not a list",
        toml: `version = 1\n${SOURCE}redact = "body:$.email"\n`,
        problems: [
          [
            4,
            'sources.default.redact is not a list of paths: write it as in redact = ["body:$.customer.email", "header:x-name"]',
          ],
        ],
      },
      {
        name: "a mistyped key of a source",
        toml: `version = 1\n${SOURCE}event_ids = "body:$.id"\n`,
        problems: [[4, "sources.default.event_ids is not a key; did you mean event_id?"]],
      },
      {
        name: "a top-level key in a source",
        toml: `version = 1\n${SOURCE}listen = "127.0.0.1:1"\n`,
        problems: [
          [
            4,
            "sources.default.listen is not a key; choose from provider, secret, event_id, type, signature,",
          ],
        ],
      },
      ...["-1", "1.5", '"5"', "1001"].map((value) => ({
        name: `max_failed_answers = ${value}`,
        toml: `version = 1\n${SOURCE}max_failed_answers = ${value}\n`,
        problems: [
          [
            4,
            `sources.default.max_failed_answers: ${value} is not a whole number from 0 to 1000: write how many deliveries`,
          ],
        ] as [number, string][],
      })),
      {
        name: "a mistyped table",
        toml: 'version = 1\n\n[source.default]\nprovider = "unsigned"\n',
        problems: [
          [undefined, "sources is missing: add a source, as in [sources.stripe]"],
          [3, "source is not a key; did you mean sources?"],
        ],
      },
      {
        name: "no source",
        toml: "version = 1\n[sources]\n",
        problems: [[2, "sources is empty: add a source, as in [sources.stripe]"]],
      },
      {
        name: "a mistyped provider",
        toml: 'version = 1\n[sources.a]\nsecret = "env:S"\nprovider = "strip"\n',
        problems: [[4, 'sources.a.provider: "strip" is not a provider; did you mean stripe?']],
      },
      {
        name: "an unknown provider",
        toml: 'version = 1\n[sources.a]\nsecret = "env:S"\nprovider = "acme corporation"\n',
        problems: [
          [
            4,
            'sources.a.provider: "acme corporation" is not a provider; to list all providers: hookonce providers',
          ],
        ],
      },
      {
        name: "a provider without its hyphen",
        toml: 'version = 1\n[sources.a]\nsecret = "env:S"\nprovider = "lemonsqueezy"\n',
        problems: [[4, 'sources.a.provider: "lemonsqueezy" is not a provider; did you mean lemon-squeezy?']],
      },
      {
        name: "the handlers of an unknown source",
        toml: 'version = 1\n[sources.stripe]\nprovider = "unsigned"\n[sources.test]\nprovider = "unsigned"\nhandlers = "strip"\n',
        problems: [
          [
            6,
            'sources.test.handlers: there is no source "strip" whose handlers could be shared; did you mean stripe?',
          ],
        ],
      },
      {
        name: "no provider",
        toml: "version = 1\n[sources.a]\n",
        problems: [
          [2, 'sources.a.provider is missing: write the name of a provider, as in provider = "stripe"'],
        ],
      },
      {
        name: "a literal secret",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = "whsec_very_secret"\n',
        problems: [
          [
            4,
            'sources.a.secret: the config must not contain a secret: write "env:NAME" and put NAME=… into .env, or write "file:path"',
          ],
        ],
      },
      {
        name: "the name of a variable without env:",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = "STRIPE_WEBHOOK_SECRET"\n',
        problems: [
          [
            4,
            'sources.a.secret: "STRIPE_WEBHOOK_SECRET" is neither env:NAME nor file:path: write "env:STRIPE_WEBHOOK_SECRET" and put STRIPE_WEBHOOK_SECRET=… into .env',
          ],
        ],
      },
      {
        name: "a literal secret in a list",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = ["whsec_very_secret", "env:S"]\n',
        problems: [[4, "sources.a.secret: the config must not contain a secret"]],
      },
      {
        name: "a literal secret after a reference in a list",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = ["env:S", "whsec_very_secret"]\n',
        problems: [[4, "sources.a.secret: the config must not contain a secret"]],
      },
      {
        name: "env: without a name",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = "env:"\n',
        problems: [[4, "sources.a.secret: the config must not contain a secret"]],
      },
      {
        name: "a secret that is not set",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = "env:NOT_SET"\n',
        problems: [[4, "sources.a.secret: env:NOT_SET is not set: put NOT_SET=… into "]],
      },
      {
        name: "one of two secrets that is not set",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = ["env:S", "env:NOT_SET"]\n',
        problems: [[4, "sources.a.secret: env:NOT_SET is not set"]],
      },
      {
        name: "a signed source without a secret",
        toml: 'version = 1\n[sources.my-shop]\nprovider = "stripe"\n',
        problems: [
          [
            3,
            'sources.my-shop.secret is missing: write secret = "env:MY_SHOP_WEBHOOK_SECRET" and put MY_SHOP_WEBHOOK_SECRET=… into .env',
          ],
        ],
      },
      {
        name: "an unsigned source with a secret",
        toml: `version = 1\n${SOURCE}secret = "env:S"\n`,
        problems: [
          [
            4,
            "sources.default.secret: deliveries to this source are not signed, so no secret is checked; remove it",
          ],
        ],
      },
      {
        name: "a source name that is not allowed in the URL",
        toml: 'version = 1\n[sources."My Shop"]\nprovider = "unsigned"\n',
        problems: [
          [2, "sources.My Shop is not a source name: write at most 64 lower-case letters, digits, - and _"],
        ],
      },
      {
        name: "an address without a host",
        toml: `version = 1\nlisten = "8787"\n${SOURCE}`,
        problems: [
          [
            2,
            'listen: "8787" is not host:port, with a port from 0 to 65535: write it as in listen = "127.0.0.1:8787"',
          ],
        ],
      },
      {
        name: "a port as a number",
        toml: `version = 1\nlisten = 8787\n${SOURCE}`,
        problems: [
          [
            2,
            'listen: 8787 is not host:port, with a port from 0 to 65535: write it as in listen = "127.0.0.1:8787"',
          ],
        ],
      },
      {
        name: "an address of the page without a port",
        toml: `version = 1\n[admin]\nlisten = "none"\n${SOURCE}`,
        problems: [
          [
            3,
            'admin.listen: "none" is not host:port: write it as in listen = "127.0.0.1:8788", or listen = "off" for no page',
          ],
        ],
      },
      {
        name: "a page that other machines can reach, without its url",
        toml: `version = 1\n[admin]\nlisten = "0.0.0.0:8788"\n${SOURCE}`,
        problems: [
          [
            3,
            'admin.listen: "0.0.0.0:8788" can be reached from other machines: add the address that browsers use, as in url = "https://hooks.example.com", or listen on 127.0.0.1',
          ],
        ],
      },
      ...["hooks.example.com", "https://hooks.example.com/admin", "ftp://hooks.example.com", ""].map(
        (url) => ({
          name: `admin.url = "${url}"`,
          toml: `version = 1\n[admin]\nurl = "${url}"\n${SOURCE}`,
          problems: [
            [
              3,
              `admin.url: "${url}" is not the address of the page: write it without a path, as in url = "https://hooks.example.com"`,
            ] satisfies [number, string],
          ],
        }),
      ),
      {
        name: "an unknown key of the page",
        toml: `version = 1\n[admin]\nport = 8788\n${SOURCE}`,
        problems: [[3, "admin.port is not a key; choose from listen, url"]],
      },
      {
        name: "a size in an unknown unit",
        toml: `version = 1\n${SOURCE}max_body = "25 MB"\n`,
        problems: [
          [4, 'sources.default.max_body: "25 MB" is not a size: write a whole number with KiB, MiB or GiB'],
        ],
      },
      {
        name: "a hold_after that is no count",
        toml: `version = 1\n${SOURCE}hold_after = "5m"\n`,
        problems: [
          [4, 'sources.default.hold_after: "5m" is not a whole number from 1 to 10000: write how many'],
        ],
      },
      {
        name: "a hold_after of 0",
        toml: `version = 1\n${SOURCE}hold_after = 0\n`,
        problems: [[4, "sources.default.hold_after: 0 is not a whole number from 1 to 10000"]],
      },
      {
        name: "a max_body that would fill the memory for bodies",
        toml: `version = 1\n${SOURCE}max_body = "61 MiB"\n`,
        problems: [[4, "sources.default.max_body: 61 MiB is too large: write at most 60 MiB"]],
      },
      {
        name: "an unknown choice",
        toml: `version = 1\n${SOURCE}unhandled = "drop"\n`,
        problems: [
          [
            4,
            'sources.default.unhandled: "drop" is not one of the choices: write "record", "ignore" or "fail"',
          ],
        ],
      },
      {
        name: "text and numbers instead of true and false",
        toml: `version = 1\nconvert_to_wal = "yes"\n${SOURCE}require_change = 1\n`,
        problems: [
          [2, 'convert_to_wal: "yes" is not true or false: write one of them'],
          [5, "sources.default.require_change: 1 is not true or false"],
        ],
      },
      {
        name: "a number instead of a secret, which is not repeated",
        toml: 'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = 8675309\n[sources.b]\nprovider = "meta"\nsecret = ["env:S", 8675309]\nverify_token = 8675309\n',
        problems: [
          [4, "sources.a.secret: the config must not contain a secret"],
          [7, "sources.b.secret: the config must not contain a secret"],
          [8, "sources.b.verify_token: the config must not contain a secret"],
        ],
      },
      {
        name: "numbers instead of text and of tables",
        toml: `version = 1\ndatabase = 5\n${SOURCE}handlers = 5\nsignature = 5\n`,
        problems: [
          [2, "database: 5 is not text: write it in quotation marks"],
          [5, "sources.default.handlers: 5 is not text: write it in quotation marks"],
          [6, "sources.default.signature: 5 is not a table: write { … }"],
        ],
      },
      {
        name: "empty lists and empty text",
        toml: `version = 1\ndatabase = ""\n${SOURCE}event_id = []\nbatch = []\nsignature = { separator = "" }\n`,
        problems: [
          [2, "database is empty"],
          [5, "sources.default.event_id is an empty list"],
          [6, "sources.default.batch is an empty list"],
          [7, "sources.default.signature.separator is empty"],
        ],
      },
      ...["~/app.db", "$HOME/app.db", "%APPDATA%/app.db"].map((path) => ({
        name: `a database that begins as ${path} does`,
        toml: `version = 1\ndatabase = "${path}"\n${SOURCE}`,
        problems: [
          [
            2,
            `database: "${path}" begins with something that only a shell replaces: write the whole path, starting with /`,
          ],
        ] as [number, string][],
      })),
      {
        name: "a database with its password",
        toml: `version = 1\ndatabase = "postgres://app:very_secret@db/shop"\n${SOURCE}`,
        problems: [[2, "database: the URL contains the password, and the config must not contain a secret"]],
      },
      {
        name: "a list of databases, of which one names no user and no host",
        toml: `version = 1\ndatabase = [\n"postgres://app@db/shop", "postgresql:///shop"]\n${SOURCE}`,
        problems: [
          [3, "the URL names no user: write it before the host"],
          [3, "the URL names no host: write one"],
        ],
      },
      {
        name: "a database that is another URL",
        toml: `version = 1\ndatabase = "mysql://app:very_secret@db/shop"\n${SOURCE}`,
        problems: [[2, "database is the URL of something else: write the path of a SQLite database"]],
      },
      {
        name: "a mistake in a dotted key",
        toml: `version = 1\nsources.default.provider = "unsigned"\nsources.default.evnt_id = "body:$.id"\n`,
        problems: [[3, "sources.default.evnt_id is not a key; did you mean event_id?"]],
      },
      {
        name: "a mistake in an inline table",
        toml: `version = 1\n\nsources = { default = { provider = "unsigned", tipe = "body:$.type" } }\n`,
        problems: [[3, "sources.default.tipe is not a key; did you mean type?"]],
      },
      {
        name: "not TOML: a string without an end",
        toml: 'version = 1\n\nlisten = "127.0.0.1\n',
        problems: [[3, ""]],
      },
      {
        name: "not TOML: a key twice",
        toml: `version = 1\n${SOURCE}provider = "stripe"\n`,
        problems: [[4, ""]],
      },
      {
        name: "an empty file",
        toml: "",
        problems: [
          [undefined, "version is missing"],
          [undefined, "sources is missing"],
        ],
      },
    ];

  test.each(scenarios.map((row) => [row.name, row] as const))("%s", (_, { toml, problems }) => {
    const found = problemsOf(toml, { S: "a secret" });
    expect(found.map(({ file, line }) => ({ file, line }))).toEqual(
      problems.map(([line]) => ({ file: "hookonce.toml", line })),
    );
    for (const [index, [, message]] of problems.entries()) expect(found[index]?.message).toContain(message);
    // No message repeats a secret, whether it was written here or looked up.
    expect(JSON.stringify(found)).not.toMatch(/very_secret|8675309/);
    expect(JSON.stringify(found)).not.toContain("a secret,");
  });
});

test("all problems of the config are reported at once, in the order of the file", async () => {
  const error = await refusedStart({
    config: `listn = "127.0.0.1:8787"
database = ""

[sources.stripe]
provider = "stripe"
secret = "sk_live_literal"
tolerence = "5m"

[sources.Hub]
provider = "github"

[sources.default]
provider = "unsigned"
unhandled = "drop"
`,
  });
  expect(error.problems.map(({ line, message }) => `${line}: ${message.slice(0, 40)}`)).toEqual([
    "2: listn is not a key; did you mean listen?",
    "3: database is empty",
    "7: sources.stripe.secret: the config must n",
    "8: sources.stripe.tolerence is not a key; d",
    "10: sources.Hub is not a source name: write ",
    "11: sources.Hub.secret is missing: write sec",
    "13: sources.default.type is missing: provide",
    '15: sources.default.unhandled: "drop" is not',
  ]);
  expect(JSON.stringify(error.problems)).not.toContain("sk_live_literal");
});

test("problems of the config, the migrations and the handlers are reported at once", async () => {
  const error = await refusedStart({
    config: '[sources.a]\nprovider = "unsigned"\ntype = "body:type"\n[sources.b]\nprovider = "strpe"\n',
    files: {
      "migrations/0001.sql": "create table t (a integer) strict;\n\ncommit;",
      "handlers/a/_any.sql": "insert into t values (:nobody);",
      "handlers/a/x.sql": "select 1;\nvacuum;",
      "handlers/a/y.ts": "export default 1;",
    },
  });
  const places = error.problems.map(({ file, line }) => `${file}:${line}`);
  for (const place of [
    "hookonce.toml:6",
    "migrations/0001.sql:3",
    "handlers/a/_any.sql:1",
    "handlers/a/x.sql:2",
  ]) {
    expect(places).toContain(place);
  }
  expect(error.problems.find(({ file }) => file === "handlers/a/y.ts")?.message).toContain("has no handler");
});

test("two unreadable paths in one source are both reported", async () => {
  const error = await refusedStart({
    config:
      '[sources.a]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", signed = "{body}{other}", secret_encoding = "hex" }\nevent_id = "body:"\ntype = "body:"',
    environment: { S: "not hex" },
  });
  expect(error.problems.map(({ file, line, message }) => [file, line, message])).toEqual([
    ["hookonce.toml", 6, expect.stringMatching(/^sources\.a\.event_id: "body:" is not a path/) as string],
    ["hookonce.toml", 7, expect.stringMatching(/^sources\.a\.type: "body:" is not a path/) as string],
  ]);
});

describe("one problem does not hide another", () => {
  const scenarios: Record<string, [config: string, problems: [line: number, message: string][]]> = {
    "of another source, whose secret is not set": [
      '[sources.a]\nprovider = "stripe"\nsecret = "env:NOT_SET"\n[sources.b]\nprovider = "unsigned"\nevent_id = "body:"\ntolerance = "5s"\n',
      [
        [4, "sources.a.secret: env:NOT_SET is not set"],
        [5, "sources.b.type is missing"],
        [7, 'sources.b.event_id: "body:" is not a path'],
      ],
    ],
    "of the config itself": [
      'colour = "blue"\n[sources.b]\nprovider = "unsigned"\ntolerance = "5s"\n',
      [
        [2, "colour is not a key"],
        [3, "sources.b.type is missing: "],
        [5, 'sources.b: tolerance = "5s" has no effect'],
      ],
    ],
    "of the same list": [
      '[sources.b]\nprovider = "unsigned"\nevent_id = ["body:", "header:a b", "body:$.ok"]\ntype = { join = ["body:x", "body:$.y"], with = "." }\n',
      [
        [4, 'sources.b.event_id: "body:" is not a path'],
        [4, 'sources.b.event_id: "header:a b" is not a path'],
        [5, 'sources.b.type: "body:x" is not a path'],
      ],
    ],
    "of a source whose name is not allowed": [
      '[sources.BadName]\nprovider = "unsigned"\nmax_body = "much"\ncolour = 1\n',
      [
        [2, "sources.BadName is not a source name"],
        [2, "sources.BadName.type is missing"],
        [4, 'sources.BadName.max_body: "much" is not a size'],
        [5, "sources.BadName.colour is not a key;"],
      ],
    ],
    "of a key inside a selector": [
      '[sources.b]\nprovider = "unsigned"\nevent_id = { join = ["body:$.a"], wiht = "." }\ntype = ["body:$.a", { join = ["body:$.a"], wiht = "." }]\n',
      [
        [4, "sources.b.event_id.wiht is not a key; did you mean with?"],
        [5, "sources.b.type.wiht is not a key; did you mean with?"],
      ],
    ],
  };
  test.each(Object.entries(scenarios))("%s", async (_, [config, problems]) => {
    const error = await refusedStart({ config });
    expect(error.problems.map(({ line, message }) => [line, message])).toEqual(
      problems.map(([line, message]) => [line, expect.stringContaining(message) as string]),
    );
  });
});

describe("without a config", () => {
  test("the message says how to make one", async () => {
    const folder = temporaryFolder("config");
    try {
      const { problems, config } = await check(folder, { environment: {}, clock: Date.now });
      expect(config).toBeNull();
      expect(problems).toHaveLength(1);
      expect(problems[0]?.message).toEndWith(
        `hookonce.toml does not exist. To make an inbox folder: hookonce init ${folder}. If you have one, name it with --folder.`,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a folder in place of the file is reported, without a crash", () => {
    const folder = temporaryFolder("config");
    try {
      mkdirSync(join(folder, "hookonce.toml"));
      expect(() => loadConfig(folder, new Map(), {})).toThrow(HookonceError);
      expect(() => loadConfig(folder, new Map(), {})).toThrow("hookonce.toml");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("sources that contradict each other are refused", async () => {
  const contradictions: [string, string, number][] = [
    // Retries of one source would be looked up under the other.
    [
      '[sources.new]\nprovider = "unsigned"\ntype = "body:$.type"\nrenamed_from = "old"\n[sources.old]\nprovider = "unsigned"\ntype = "body:$.type"\n',
      "renamed_from",
      5,
    ],
    ['[sources.it]\nprovider = "unsigned"\ntype = "body:$.type"\nrenamed_from = "it"\n', "renamed_from", 5],
    [
      '[sources.a]\nprovider = "unsigned"\ntype = "body:$.type"\nrenamed_from = "old"\n[sources.b]\nprovider = "unsigned"\ntype = "body:$.type"\nrenamed_from = "old"\n',
      "renamed_from",
      9,
    ],
    [
      '[sources.a]\nprovider = "stripe"\nsecret = "env:S"\n[sources.b]\nprovider = "unsigned"\nhandlers = "a"\n[sources.c]\nprovider = "unsigned"\nhandlers = "b"\n',
      '"b" itself shares the handlers of "a"; name that source',
      10,
    ],
    // handlers/lib is for code that handlers share, so this source could never have a handler.
    ['[sources.lib]\nprovider = "unsigned"\ntype = "body:$.type"\n', "lib", 2],
  ];
  for (const [config, word, line] of contradictions) {
    const error = await refusedStart({ config, environment: { S: "a secret" } });
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]).toMatchObject({ file: "hookonce.toml", line });
    expect(error.problems[0]?.message).toContain(word);
  }
});

describe("a valid config", () => {
  test("has the README's defaults for what it leaves out", () => {
    const folder = temporaryFolder("config");
    try {
      writeFileSync(join(folder, "hookonce.toml"), `version = 1\n${SOURCE}`);
      const config = loadConfig(folder, secretNeeds, {});
      const lineOf = expect.any(Function) as () => number;
      expect(config).toEqual({
        inboxFolder: folder,
        listen: { hostname: "127.0.0.1", port: 8787 },
        admin: { listen: { hostname: "127.0.0.1", port: 8788 }, url: null },
        database: { kind: "file", path: join(folder, "data/hookonce.db") },
        convertToWal: false,
        retention: { payloadsMs: null, maxBytes: null },
        alerts: null,
        destinations: [],
        secretVariables: [],
        secretFiles: [],
        sources: [
          {
            name: "default",
            provider: "unsigned",
            secrets: [],
            secretNames: [],
            verifyToken: undefined,
            lineOf,
          },
        ],
      });
      expect(config.sources[0]?.lineOf()).toBe(2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["", { listen: { hostname: "127.0.0.1", port: 8788 }, url: null }],
    ['listen = "off"', { listen: null, url: null }],
    ['listen = "[::1]:9000"', { listen: { hostname: "::1", port: 9000 }, url: null }],
    ['listen = "localhost:0"', { listen: { hostname: "localhost", port: 0 }, url: null }],
    [
      'listen = "0.0.0.0:80"\nurl = "https://Hooks.example.com/"',
      { listen: { hostname: "0.0.0.0", port: 80 }, url: "https://hooks.example.com" },
    ],
  ])("may have [admin] %s", (table, admin) => {
    const folder = temporaryFolder("config");
    try {
      writeFileSync(
        join(folder, "hookonce.toml"),
        `version = 1\n[admin]\n${table}\n[sources.a]\nprovider = "unsigned"\n`,
      );
      expect(loadConfig(folder, secretNeeds, {}).admin).toEqual(admin);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["0.0.0.0:80", "0.0.0.0", 80],
    ["localhost:0", "localhost", 0],
    ["[::1]:8787", "::1", 8787],
  ])("may have listen = %s, an absolute database and sizes", (listen, hostname, port) => {
    const folder = temporaryFolder("config");
    try {
      writeFileSync(
        join(folder, "hookonce.toml"),
        `version = 1\nlisten = "${listen}"\ndatabase = "/var/lib/app.db"\n[sources.a]\nprovider = "unsigned"\nmax_body = "25 MiB"\n[sources.b]\nprovider = "unsigned"\nmax_body = "512KiB"\n`,
      );
      const config = loadConfig(folder, secretNeeds, {});
      expect(config.listen).toEqual({ hostname, port });
      expect(config.database).toEqual({ kind: "file", path: "/var/lib/app.db" });
      expect(config.sources.map((source) => source.max_body)).toEqual([25 * 1024 * 1024, 512 * 1024]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a port above 65535 is refused", () => {
    expect(problemsOf(`version = 1\nlisten = "127.0.0.1:70000"\n${SOURCE}`)).toHaveLength(1);
  });
});
