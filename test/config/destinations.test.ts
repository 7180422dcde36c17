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
const withUrl = (lines: string): string => app(`url = "http://app/"\n${lines}`);
const url = (text: string): string => app(`url = "${text}"`);

describe("a mistake is reported with its line, its field, its value and the remedy", () => {
  const scenarios: Record<string, [toml: string, ...problems: [line: number, message: string][]]> = {
    "an unknown key": [
      withUrl(`retries = 3`),
      [
        7,
        "destinations.app.retries is not a key; choose from url, command, sign, secret, headers, concurrency, rate, timeout, retry_for, on_stop",
      ],
    ],
    "a mistyped key": [
      withUrl(`concurency = 3`),
      [7, "destinations.app.concurency is not a key; did you mean concurrency?"],
    ],
    "neither url nor command": [
      app(`concurrency = 2`),
      [
        5,
        'destinations.app has neither url nor command: write where its messages go, as in url = "http://127.0.0.1:3000/webhooks" or command = ["./deploy.sh"]',
      ],
    ],
    "url and command": [
      withUrl(`command = ["./x"]`),
      [
        7,
        "destinations.app.command: this destination has a url, too: keep one, and make another destination for the other",
      ],
    ],
    "keys of a request for a command": [
      app(`command = ["./x"]
sign = "none"
secret = "env:S"
headers = { a = "1" }`),
      [
        7,
        "destinations.app.sign is only for a destination with a url: remove it, because a command gets no request",
      ],
      [
        8,
        "destinations.app.secret is only for a destination with a url: remove it, because a command gets no request",
      ],
      [
        9,
        "destinations.app.headers is only for a destination with a url: remove it, because a command gets no request",
      ],
    ],
    "on_stop for a URL": [
      withUrl(`on_stop = "wait"`),
      [7, "destinations.app.on_stop is only for a destination with a command: remove it"],
    ],
    "a secret with which nothing is signed": [
      withUrl(`secret = "env:S"`),
      [
        7,
        'destinations.app.secret: nothing is signed with it: write sign = "standard-webhooks", or remove secret',
      ],
    ],
    "a secret for requests that are not signed": [
      withUrl(`sign = "none"
secret = "env:S"`),
      [
        8,
        'destinations.app.secret: nothing is signed with it: write sign = "standard-webhooks", or remove secret',
      ],
    ],
    "standard-webhooks without a secret": [
      withUrl(`sign = "standard-webhooks"`),
      [
        5,
        'destinations.app.secret is missing: write secret = "env:APP_SECRET" and put APP_SECRET=whsec_… into .env',
      ],
    ],
    "a literal secret": [
      withUrl(`sign = "standard-webhooks"
secret = "whsec_hunter2"`),
      [
        8,
        'destinations.app.secret: the config must not contain a secret: write "env:NAME" and put NAME=… into .env, or write "file:path"',
      ],
    ],
    "the name of a variable without env:": [
      withUrl(`sign = "standard-webhooks"
secret = "APP_SECRET"`),
      [
        8,
        'destinations.app.secret: "APP_SECRET" is neither env:NAME nor file:path: write "env:APP_SECRET" and put APP_SECRET=… into .env',
      ],
    ],
    "a list of secrets": [
      withUrl(`sign = "standard-webhooks"
secret = ["env:S"]`),
      [8, "destinations.app.secret is a list, but a destination has one secret: write it without [ and ]"],
    ],
    "a number as the secret": [
      withUrl(`sign = "standard-webhooks"
secret = 8675309`),
      [
        8,
        'destinations.app.secret: the config must not contain a secret: write "env:NAME" and put NAME=… into .env, or write "file:path"',
      ],
    ],
    "a secret that is not set": [
      withUrl(`sign = "standard-webhooks"
secret = "env:NOT_SET"`),
      [
        8,
        "destinations.app.secret: env:NOT_SET is not set: put NOT_SET=… into FOLDER/.env, or into the environment",
      ],
    ],
    "a header whose value is not set": [
      withUrl(`headers = { authorization = "env:NOT_SET" }`),
      [
        7,
        "destinations.app.headers.authorization: env:NOT_SET is not set: put NOT_SET=… into FOLDER/.env, or into the environment",
      ],
    ],
    "a literal authorization": [
      withUrl(`headers = { authorization = "Bearer hunter2" }`),
      [
        7,
        'destinations.app.headers.authorization: the config must not contain a secret: write authorization = "env:APP_AUTHORIZATION" and put APP_AUTHORIZATION=… into .env, or write "file:path"',
      ],
    ],
    "a literal cookie": [
      withUrl(`headers = { Cookie = "hunter2" }`),
      [
        7,
        'destinations.app.headers.Cookie: the config must not contain a secret: write Cookie = "env:APP_COOKIE" and put APP_COOKIE=… into .env, or write "file:path"',
      ],
    ],
    "a literal key of an API": [
      withUrl(`headers = { x-api-key = "hunter2" }`),
      [
        7,
        'destinations.app.headers.x-api-key: the config must not contain a secret: write x-api-key = "env:APP_X_API_KEY" and put APP_X_API_KEY=… into .env, or write "file:path"',
      ],
    ],
    "a value that looks like a secret": [
      withUrl(`headers = { x-a = "sk_live_hunter2" }`),
      [
        7,
        'destinations.app.headers.x-a: the config must not contain a secret: write x-a = "env:APP_X_A" and put APP_X_A=… into .env, or write "file:path"',
      ],
    ],
    "a value that looks random": [
      withUrl(`headers = { x-a = "hunter2hunter2hunter2hunter2hunter2" }`),
      [
        7,
        'destinations.app.headers.x-a: the config must not contain a secret: write x-a = "env:APP_X_A" and put APP_X_A=… into .env, or write "file:path"',
      ],
    ],
    "a literal secret in a table of headers": [
      app(`url = "http://app/"
[destinations.app.headers]
x-b = "1"
authorization = "hunter2"`),
      [
        9,
        'destinations.app.headers.authorization: the config must not contain a secret: write authorization = "env:APP_AUTHORIZATION" and put APP_AUTHORIZATION=… into .env, or write "file:path"',
      ],
    ],
    "a header twice": [
      withUrl(`headers = { x-a = "1", X-A = "2" }`),
      [7, "destinations.app.headers.X-A is there twice, because case does not matter: remove one"],
    ],
    "a name that no header has": [
      withUrl(`headers = { "x a" = "1" }`),
      [
        7,
        "destinations.app.headers.x a is not the name of a header: write one without blanks, as in x-tenant",
      ],
    ],
    "a header that hookonce sets": [
      withUrl(`headers = { Content-Length = "1" }`),
      [7, "destinations.app.headers.Content-Length is a header that hookonce sets itself: remove it"],
    ],
    "a number as a header": [
      withUrl(`headers = { x-a = 1 }`),
      [
        7,
        'destinations.app.headers.x-a: write the value as text, as in headers = { x-tenant = "7", authorization = "env:APP_TOKEN" }',
      ],
    ],
    "text as headers": [
      withUrl(`headers = "x-a: 1"`),
      [
        7,
        'destinations.app.headers is not a table: write it as in headers = { x-tenant = "7", authorization = "env:APP_TOKEN" }',
      ],
    ],
    "a looked-up value with a line break": [
      withUrl(`headers = { x-a = "env:BROKEN" }`),
      [
        7,
        "destinations.app.headers.x-a: the value has a character that no header may contain, such as a line break: remove it",
      ],
    ],
    "an unknown signature": [
      withUrl(`sign = "stripe"`),
      [
        7,
        'destinations.app.sign: "stripe" is not one of the choices: write "provider", "standard-webhooks" or "none"',
      ],
    ],
    "concurrency of 0": [
      withUrl(`concurrency = 0`),
      [
        7,
        "destinations.app.concurrency: 0 is not a whole number from 1 to 100: write how many messages may be sent at a time, as in concurrency = 4",
      ],
    ],
    "concurrency above 100": [
      withUrl(`concurrency = 101`),
      [
        7,
        "destinations.app.concurrency: 101 is not a whole number from 1 to 100: write how many messages may be sent at a time, as in concurrency = 4",
      ],
    ],
    "concurrency as text": [
      withUrl(`concurrency = "4"`),
      [
        7,
        'destinations.app.concurrency: "4" is not a whole number from 1 to 100: write how many messages may be sent at a time, as in concurrency = 4',
      ],
    ],
    "concurrency that is not whole": [
      withUrl(`concurrency = 1.5`),
      [
        7,
        "destinations.app.concurrency: 1.5 is not a whole number from 1 to 100: write how many messages may be sent at a time, as in concurrency = 4",
      ],
    ],
    "rate of 0": [
      withUrl(`rate = 0`),
      [
        7,
        "destinations.app.rate: 0 is not a number above 0: write how many messages may be sent per second, as in rate = 50, or remove it for no limit",
      ],
    ],
    "a rate with a unit": [
      withUrl(`rate = "50/s"`),
      [
        7,
        'destinations.app.rate: "50/s" is not a number above 0: write how many messages may be sent per second, as in rate = 50, or remove it for no limit',
      ],
    ],
    "an infinite rate": [
      withUrl(`rate = inf`),
      [
        7,
        "destinations.app.rate: Infinity is not a number above 0: write how many messages may be sent per second, as in rate = 50, or remove it for no limit",
      ],
    ],
    "no time for an attempt": [
      withUrl(`timeout = "0s"`),
      [7, 'destinations.app.timeout: 0s is too short: write a longer time, as in timeout = "15s"'],
    ],
    "a timeout without a unit": [
      withUrl(`timeout = 15`),
      [7, 'destinations.app.timeout: 15 has no unit: write timeout = "15s"'],
    ],
    "a timeout longer than a timer": [
      withUrl(`timeout = "8d"`),
      [7, "destinations.app.timeout: 8d is too long: write at most 7d"],
    ],
    "retry_for without a unit": [
      withUrl(`retry_for = 3`),
      [7, 'destinations.app.retry_for: 3 has no unit: write retry_for = "3s"'],
    ],
    "an unknown way to stop": [
      app(`command = ["./x"]
on_stop = "term"`),
      [7, 'destinations.app.on_stop: "term" is not one of the choices: write "kill" or "wait"'],
    ],
    "a URL without a scheme": [
      url(`127.0.0.1:3000/x`),
      [
        6,
        'destinations.app.url: "127.0.0.1:3000/x" is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "another scheme": [
      url(`ftp://x/`),
      [
        6,
        'destinations.app.url: "ftp://x/" is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "credentials in the URL": [
      url(`http://ada:hunter2@x/`),
      [
        6,
        'destinations.app.url: must not contain a user name or a password: remove it, write headers = { authorization = "env:NAME" }, and put NAME=Basic … into .env',
      ],
    ],
    "a placeholder in the host": [
      url(`http://{source}.x/`),
      [
        6,
        'destinations.app.url: "http://{source}.x/" has braces in its scheme, host or port: write {source} and {body:$.path} only in the path and the query',
      ],
    ],
    "a placeholder as the port": [
      url(`http://x:{source}/`),
      [
        6,
        'destinations.app.url: "http://x:{source}/" has braces in its scheme, host or port: write {source} and {body:$.path} only in the path and the query',
      ],
    ],
    "a placeholder as the scheme": [
      url(`{source}://x/`),
      [
        6,
        'destinations.app.url: "{source}://x/" has braces in its scheme, host or port: write {source} and {body:$.path} only in the path and the query',
      ],
    ],
    "an unknown placeholder": [
      url(`http://x/{type}`),
      [
        6,
        'destinations.app.url: "http://x/{type}" has {type} in it: write {source} or {body:$.path}, or %7B and %7D for braces',
      ],
    ],
    "a placeholder without a path": [
      url(`http://x/{body:}`),
      [
        6,
        'destinations.app.url: "http://x/{body:}" has {body:} in it: write {source} or {body:$.path}, or %7B and %7D for braces',
      ],
    ],
    "a brace that is not closed": [
      url(`http://x/{source`),
      [
        6,
        'destinations.app.url: "http://x/{source" has a brace that is not closed: write {source} or {body:$.path}, or %7B and %7D for braces',
      ],
    ],
    "a port above 65535": [
      url(`http://x:99999/`),
      [
        6,
        'destinations.app.url: "http://x:99999/" is not a URL: correct its host or port, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "no host": [
      url(`http:///x`),
      [
        6,
        'destinations.app.url: "http:///x" is not a URL: correct its host or port, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "an empty URL": [
      url(``),
      [
        6,
        'destinations.app.url: "" is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "a reference as the URL": [
      url(`env:APP_URL`),
      [
        6,
        'destinations.app.url: "env:APP_URL" is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "only a path": [
      url(`/webhooks`),
      [
        6,
        'destinations.app.url: "/webhooks" is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "a number as the URL": [
      app(`url = 5`),
      [
        6,
        'destinations.app.url: 5 is not a URL that begins with http:// or https://: write it whole, as in url = "http://127.0.0.1:3000/webhooks"',
      ],
    ],
    "a command line in one text": [
      app(`command = "./deploy.sh --fast"`),
      [
        6,
        'destinations.app.command is not a command: write the file and each argument as a separate text, as in command = ["./deploy.sh", "--fast"]',
      ],
    ],
    "an empty command": [
      app(`command = []`),
      [
        6,
        'destinations.app.command is not a command: write the file and each argument as a separate text, as in command = ["./deploy.sh", "--fast"]',
      ],
    ],
    "a command without a file": [
      app(`command = [""]`),
      [
        6,
        'destinations.app.command is not a command: write the file and each argument as a separate text, as in command = ["./deploy.sh", "--fast"]',
      ],
    ],
    "a number as an argument": [
      app(`command = ["./x", 5]`),
      [
        6,
        'destinations.app.command is not a command: write the file and each argument as a separate text, as in command = ["./deploy.sh", "--fast"]',
      ],
    ],
    "a NUL character in an argument": [
      app(`command = ["./x", "a\\u0000b"]`),
      [6, "destinations.app.command: a file or an argument cannot contain a NUL character: remove it"],
    ],
    "a name that is not allowed, and a mistake below it": [
      `${START}[destinations."My App"]\nurl = "http://app/"\ncolour = 1\n`,
      [
        5,
        "destinations.My App is not the name of a destination: write at most 64 lower-case letters, digits, - and _, as for sources",
      ],
      [
        7,
        "destinations.My App.colour is not a key; choose from url, command, sign, secret, headers, concurrency, rate, timeout, retry_for, on_stop",
      ],
    ],
    "the name of a source": [
      `${START}[destinations.in]\nurl = "http://app/"\n`,
      [5, "destinations.in is the name of a source, too: choose another name for the destination"],
    ],
    "text instead of a table": [
      `${START}[destinations]\napp = "http://hunter2/"\n`,
      [6, "destinations.app is not a table: write [destinations.app], and below it url or command"],
    ],
    "a list instead of a table": [
      `${START}[[destinations.app]]\nurl = "http://app/"\n`,
      [5, "destinations.app is not a table: write [destinations.app], and below it url or command"],
    ],
    "a list of destinations": [
      `${START}[[destinations]]\nurl = "http://app/"\n`,
      [5, "destinations is not a table: write a table for each, as in [destinations.app]"],
    ],
    "more messages at a time than the process can send": [
      `${START}[destinations.a]\nurl = "http://a/"\nconcurrency = 100\n[destinations.b]\nurl = "http://b/"\nconcurrency = 97\n[destinations.c]\nurl = "http://c/"\n[destinations.d]\ncommand = ["./d"]\nconcurrency = 100\n`,
      [
        5,
        "destinations: the destinations with a url send up to 201 messages at a time (a 100, b 97, c 4), but hookonce can send 200: lower their concurrency",
      ],
    ],
    "a mistyped table": [
      `${START}[destination.app]\nurl = "http://app/"\n`,
      [5, "destination is not a key; did you mean destinations?"],
    ],
    "forward in a destination": [
      withUrl(`forward = ["in"]`),
      [
        7,
        "destinations.app.forward is not a key; choose from url, command, sign, secret, headers, concurrency, rate, timeout, retry_for, on_stop",
      ],
    ],
    "forward that is not a list": [
      forward(`"app"`),
      [
        5,
        'sources.in.forward: write the names of destinations, as in forward = ["app", { to = "deploy", types = ["push"] }]',
      ],
    ],
    "forward as one table": [
      forward(`{ to = "app" }`),
      [
        5,
        'sources.in.forward: write the names of destinations, as in forward = ["app", { to = "deploy", types = ["push"] }]',
      ],
    ],
    "an empty list": [forward(`[]`), [5, "sources.in.forward is an empty list"]],
    "a mistyped destination": [
      forward(`["ap"]`),
      [5, 'sources.in.forward: there is no destination "ap"; did you mean app?'],
    ],
    "an unknown destination": [
      forward(`["other"]`),
      [
        5,
        'sources.in.forward: there is no destination "other"; add it, as in [destinations.other] with url = "http://…" or command = ["./…"]',
      ],
    ],
    "a destination when there are none": [
      `${START}forward = ["other"]\n`,
      [
        5,
        'sources.in.forward: there is no destination "other"; add it, as in [destinations.other] with url = "http://…" or command = ["./…"]',
      ],
    ],
    "a destination twice": [
      forward(`["app", "app"]`),
      [5, 'sources.in.forward: "app" is there twice: remove one'],
    ],
    "a destination twice, once for all events": [
      forward(`["app", { to = "app", types = ["x"] }]`),
      [
        5,
        'sources.in.forward: "app" is there twice, and once without types and where, so it gets every event: remove one',
      ],
    ],
    "a destination twice with the same types": [
      forward(`[{ to = "app", types = ["x"] }, { to = "app", types = ["x"] }]`),
      [5, 'sources.in.forward: "app" is there twice: remove one'],
    ],
    "no destination in a table": [
      forward(`[{ types = ["x"] }]`),
      [5, 'sources.in.forward.to is missing: write the name of a destination, as in { to = "app" }'],
    ],
    "a number as a destination": [
      forward(`[5]`),
      [
        5,
        'sources.in.forward: write the names of destinations, as in forward = ["app", { to = "deploy", types = ["push"] }]',
      ],
    ],
    "a number as to": [
      forward(`[{ to = 5 }]`),
      [
        5,
        'sources.in.forward.to: write the names of destinations, as in forward = ["app", { to = "deploy", types = ["push"] }]',
      ],
    ],
    "a mistyped key of forward": [
      forward(`[{ to = "app", type = ["x"] }]`),
      [5, "sources.in.forward.type is not a key; did you mean types?"],
    ],
    "a * in the middle of a type": [
      forward(`[{ to = "app", types = ["a*b"] }]`),
      [
        5,
        'sources.in.forward.types: "a*b" has a * that is not its last character: write a whole type, or a prefix and *, as in "customer.subscription.*"',
      ],
    ],
    "no types": [forward(`[{ to = "app", types = [] }]`), [5, "sources.in.forward.types is an empty list"]],
    "types that are not a list": [
      forward(`[{ to = "app", types = "x" }]`),
      [5, 'sources.in.forward.types: "x" is not a list: write [ … ]'],
    ],
    "a number as a type": [
      forward(`[{ to = "app", types = [5] }]`),
      [5, "sources.in.forward.types: 5 is not text: write it in quotation marks"],
    ],
    "an empty where": [forward(`[{ to = "app", where = "" }]`), [5, "sources.in.forward.where is empty"]],
    "where that is not text": [
      forward(`[{ to = "app", where = true }]`),
      [5, "sources.in.forward.where: true is not text: write it in quotation marks"],
    ],
    "several mistakes at once": [
      forward(`["ap", { to = "deploy", wher = "1" }]`),
      [5, "sources.in.forward.wher is not a key; did you mean where?"],
      [5, 'sources.in.forward: there is no destination "ap"; did you mean app?'],
    ],
    "retention without units": [
      `${START}[retention]\npayloads = 90\nmax_size = 2\n`,
      [6, 'retention.payloads: 90 has no unit: write payloads = "90s"'],
      [7, 'retention.max_size: 2 has no unit: write max_size = "2 MiB"'],
    ],
    "retention that is too little": [
      `${START}[retention]\npayloads = "0s"\nmax_size = "512 KiB"\n`,
      [6, 'retention.payloads: 0s is too short: write a longer time, as in payloads = "90d"'],
      [7, "retention.max_size: 512 KiB is too small: write at least 1 MiB"],
    ],
    "an unknown unit and an unknown key of retention": [
      `${START}[retention]\nmax_size = "2 GB"\nmaxsize = 1\n`,
      [
        6,
        'retention.max_size: "2 GB" is not a size: write a whole number with KiB, MiB or GiB, as in max_size = "5 MiB"',
      ],
      [7, "retention.maxsize is not a key; did you mean max_size?"],
    ],
    "retention that is not a table": [
      `version = 1\nretention = "90d"\n[sources.in]\nprovider = "unsigned"\ntype = "body:$.type"\n`,
      [2, 'retention: "90d" is not a table: write { … }'],
    ],
  };
  test.each(Object.entries(scenarios))("%s", (_, [toml, ...problems]) => {
    const found = read(toml).problems;
    // The message about a missing variable names the folder's .env.
    const told = found.map(({ line, message }) => [line, message.replace(/ \S+\/\.env/, " FOLDER/.env")]);
    expect(told).toEqual(problems);
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
      secrets: [],
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
concurrency = 100
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
      secrets: ["a looked-up value", "a looked-up value"],
      concurrency: 100,
      rate: 0.5,
      timeoutMs: 7 * 86_400_000,
      retryForMs: 0,
    },
    { kind: "command", command: ["/srv/deploy.sh"], onStop: "wait" },
  ]);
  // A command that sends nothing needs no secrets.
  expect(load(toml, null).destinations[0]).toMatchObject({
    secret: undefined,
    secrets: [],
    headers: { "x-tenant": "7" },
  });
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

test("the config may contain the values of harmless headers", () => {
  const values = {
    "x-tenant": "7",
    "content-type": "application/json",
    "user-agent": "hookonce at example.com (ops@example.com)",
    "x-workspace": "123e4567-e89b-12d3-a456-426614174000",
    "x-skill": "sk",
  };
  const table = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const config = load(withUrl(`headers = { ${table.join(", ")} }`));
  expect(config.destinations[0]).toMatchObject({ headers: values, secretNames: [], secrets: [] });
});
