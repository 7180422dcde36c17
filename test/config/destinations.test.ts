import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, readConfig, type Config, type ReadConfig } from "../../src/config/load.ts";
import { secretNeeds } from "../../src/app/sources.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const ENVIRONMENT = { S: "a looked-up value", BROKEN: "one\ntwo" };

function inFolder<Result>(toml: string, work: (folder: string) => Result): Result {
  const folder = temporaryFolder("destinations");
  try {
    writeFileSync(join(folder, "hookonce.toml"), toml);
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const read = (toml: string): ReadConfig =>
  inFolder(toml, (folder) => readConfig(folder, secretNeeds, ENVIRONMENT));
const load = (toml: string, environment: Record<string, string> | null = ENVIRONMENT): Config =>
  inFolder(toml, (folder) => loadConfig(folder, secretNeeds, environment));

const START = 'version = 1\n[sources.in]\nprovider = "unsigned"\ntype = "body:$.type"\n';
/** Line 6 is the first one below the table. */
const app = (lines: string): string => `${START}[destinations.app]\n${lines}\n`;
/** `forward` is line 5. */
const forward = (value: string): string =>
  `${START}forward = ${value}\n[destinations.app]\nurl = "http://app/"\n[destinations.deploy]\ncommand = ["./deploy.sh"]\n`;
const URL_KEY = 'url = "http://app/"\n';

describe("a mistake is reported with its line, its field, its value and the remedy", () => {
  const scenarios: Record<string, [toml: string, ...problems: [line: number, message: string][]]> = {
    "an unknown key": [
      app(`${URL_KEY}retries = 3`),
      [
        7,
        "destinations.app.retries is not a key; choose from url, command, sign, secret, headers, concurrency, rate, timeout, retry_for, on_stop",
      ],
    ],
    "a mistyped key": [
      app(`${URL_KEY}concurency = 3`),
      [7, "destinations.app.concurency is not a key; did you mean concurrency?"],
    ],
    "neither url nor command": [
      app("concurrency = 2"),
      [
        5,
        'destinations.app has neither url nor command: write where its messages go, as in url = "http://127.0.0.1:3000/webhooks" or command = ["./deploy.sh"]',
      ],
    ],
  };
  test.each(Object.entries(scenarios))("%s", (_, [toml, ...problems]) => {
    const found = read(toml).problems;
    expect(found.map(({ line, message }) => [line, message])).toEqual(problems);
    for (const { file } of found) expect(file).toBe("hookonce.toml");
    expect(JSON.stringify(found)).not.toMatch(/hunter2|a looked-up value/);
  });
});

test("a destination has the documented defaults", () => {
  const config = load(
    `${START}[destinations.app]\nurl = "http://app/"\n[destinations.deploy]\ncommand = ["./deploy.sh", "-x"]\n`,
  );
  const lineOf = expect.any(Function) as () => number;
  expect(config.destinations).toEqual([
    {
      kind: "url",
      name: "app",
      lineOf,
      url: "http://app/",
      sign: "provider",
      secret: undefined,
      headers: {},
      secretNames: [],
      concurrency: 4,
      rate: undefined,
      timeoutMs: 15_000,
      retryForMs: 3 * 86_400_000,
    },
    {
      kind: "command",
      name: "deploy",
      lineOf,
      command: ["./deploy.sh", "-x"],
      onStop: "kill",
      concurrency: 1,
      rate: undefined,
      timeoutMs: 600_000,
      retryForMs: 3 * 86_400_000,
    },
  ]);
  expect(config.destinations.map((one) => one.lineOf())).toEqual([5, 7]);
});

test("a destination has what the config says, and its secrets are looked up", () => {
  const toml = `${START}[retention]
payloads = "90d"
max_size = "2 GiB"
[destinations.app]
url = "https://in.example.com/{source}/{body:$.id}?x={body:$.a.b}"
sign = "standard-webhooks"
secret = "env:S"
headers = { X-Tenant = "7", authorization = "env:S" }
concurrency = 256
rate = 0.5
timeout = "7d"
retry_for = "0s"
[destinations.deploy]
command = ["/srv/deploy.sh"]
on_stop = "wait"
`;
  const config = load(toml);
  expect(config.retention).toEqual({ payloadsMs: 90 * 86_400_000, maxBytes: 2 * 1024 ** 3 });
  expect(config.secretVariables).toEqual(["S"]);
  expect(config.destinations).toMatchObject([
    {
      kind: "url",
      url: "https://in.example.com/{source}/{body:$.id}?x={body:$.a.b}",
      sign: "standard-webhooks",
      secret: "a looked-up value",
      headers: { "x-tenant": "7", authorization: "a looked-up value" },
      secretNames: ["env:S", "env:S"],
      concurrency: 256,
      rate: 0.5,
      timeoutMs: 7 * 86_400_000,
      retryForMs: 0,
    },
    { kind: "command", command: ["/srv/deploy.sh"], onStop: "wait" },
  ]);
  // A command that sends nothing needs no secrets.
  expect(load(toml, null).destinations[0]).toMatchObject({ secret: undefined, headers: { "x-tenant": "7" } });
});

test("forward is a list of destinations and of tables", () => {
  expect(load(START).sources[0]?.forward).toBeUndefined();
  const toml = forward(
    `["app", { to = "deploy", types = ["push", "issues.*"] }, { to = "deploy", where = "true" }]`,
  );
  expect(load(toml).sources[0]?.forward).toEqual([
    { to: "app", types: undefined, where: undefined },
    { to: "deploy", types: ["push", "issues.*"], where: undefined },
    { to: "deploy", types: undefined, where: "true" },
  ]);
});
