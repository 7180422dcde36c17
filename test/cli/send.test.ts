import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, run, scratch, serve, type Scratch, type Serving } from "./support/hookonce.ts";

const environment = {
  STRIPE: "whsec_cli",
  OTHER: "whsec_other",
  MAILGUN: "mg",
  XERO: "xero-key",
  SQUARE: "sq",
  COFFEE: "coffee",
  PAYSTACK: "sk_live_1",
  ORDERED: "ordered-secret",
  PAYPAL: "8PT597110X687430L",
};

let inbox: Scratch;
let serving: Serving;

async function start(): Promise<void> {
  inbox = scratch({
    ...inboxFiles,
    "handlers/stripe/charge.failed.ts": `import { handler } from "hookonce";
export default handler(() => {
  throw new Error("no such customer");
});
`,
    // Nothing listens there: the server takes a free port.
    "hookonce.toml": `${inboxFiles["hookonce.toml"].replace("version = 1", 'version = 1\nlisten = "127.0.0.1:1"')}
[sources.stripe]
provider = "stripe"
secret = "env:STRIPE"

[sources.shop]
provider = "hmac"
secret = "file:shop.secret"
signature = { header = "x-shop-signature", timestamp = "header:x-shop-time", signed = "{timestamp}.{body}" }
event_id = "body:$.id"
type = "body:$.type"

[sources.mailgun]
provider = "mailgun"
secret = "env:MAILGUN"

[sources.xero]
provider = "xero"
secret = "env:XERO"

[sources.paypal]
provider = "paypal"
secret = "env:PAYPAL"

[sources.paypal-dev]
provider = "unsigned"
handlers = "paypal"
event_id = "body:$.id"
type = "body:$.event_type"

[sources.paypal-bare]
provider = "unsigned"
handlers = "paypal"

[sources.square]
provider = "square"
secret = "env:SQUARE"
public_url = "https://hooks.example.com/in"

[sources.coffee]
provider = "buy-me-a-coffee"
secret = "env:COFFEE"
test_events = "ignore"

[sources.paystack]
provider = "paystack"
secret = "env:PAYSTACK"
test_events = "refuse"

[sources.ordered]
provider = "static"
secret = "env:ORDERED"
secret_in = "header:x-secret"
event_id = "body:$.id"
type = "body:$.type"
newest_wins = { types = ["order"], key = "body:$.order", version = "body:$.version" }
`,
    "older.json": '{"id":"evt_older","type":"order","order":1,"version":1}',
    "newer.json": '{"id":"evt_newer","type":"order","order":1,"version":2}',
    "handlers/ordered/_any.sql": "insert into credits values (:event_id, 1);",
    "shop.secret": "s3cret\n",
    "handlers/paypal/_any.sql": "insert into credits values (:event_id, 1);",
    "handlers/stripe/_any.sql": "insert into credits values (:event_id, 1);",
    "handlers/stripe/charge.refunded.sql": "-- hookonce: unfinished\nselect 1;",
    "handlers/stripe/invoice.created.sql": "insert into credits values ('twice', 1), ('twice', 1);",
  });
  const made = await run(["send", "discord", "--make-key-pair", join(inbox.path, "discord.pem")]);
  const publicKey = /public key as the secret: (\w+)/.exec(made.stdout)?.[1] ?? "";
  expect(statSync(join(inbox.path, "discord.pem")).mode & 0o777).toBe(0o600);
  const config = readFileSync(join(inbox.path, "hookonce.toml"), "utf8");
  inbox.write({
    "discord.public": publicKey,
    "hookonce.toml": `${config}\n[sources.discord]\nprovider = "discord"\nsecret = "file:discord.public"\n`,
  });
  serving = await serve(inbox.path, { environment });
}

async function stop(): Promise<void> {
  await serving[Symbol.asyncDispose]();
  inbox[Symbol.dispose]();
}

// Outside the `describe`, because inside it bun reports two more skipped tests.
if (onlyInFullRun() === undefined) {
  beforeAll(start);
  afterAll(stop);
}

const send = (provider: string, ...args: string[]) =>
  run(["send", provider, "--folder", inbox.path, ...args], { environment });
const to = (source: string): string[] => ["--to", `${serving.url}/webhook/${source}`, "--source", source];

describeUnless(onlyInFullRun(), "hookonce send", () => {
  test("prints each answer and a summary: first processed, then duplicate", async () => {
    const { code, stdout, stderr } = await send("stripe", "invoice.paid", ...to("stripe"), "--times", "3");
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => /200 (\w+)/.exec(line)?.[1])).toEqual([
      "processed",
      "duplicate",
      "duplicate",
      undefined,
    ]);
    expect(lines[3]).toMatch(/^3 deliveries of 1 event in \d+ ms: 1 processed, 2 duplicate$/);
  });

  test("expects what the source's config does with tests and with older events, and says why", async () => {
    const ignored = await send("buy-me-a-coffee", ...to("coffee"), "--test", "--times", "2");
    expect([ignored.code, ignored.stderr]).toEqual([0, ""]);
    expect(ignored.stdout).toContain("1 ignored, 1 duplicate");
    expect(ignored.stdout).toContain('says that it is a test (test_events = "ignore")');
    const refused = await send("paystack", ...to("paystack"), "--test");
    expect([refused.code, refused.stderr]).toEqual([0, ""]);
    expect(refused.stdout).toContain('says that it is a test (test_events = "refuse")');
    const ordered = (file: string) =>
      send("static", ...to("ordered"), "--data", join(inbox.path, file), "--times", "2");
    expect(await ordered("newer.json")).toMatchObject({ code: 0, stderr: "" });
    const older = await ordered("older.json");
    expect([older.code, older.stderr]).toEqual([0, ""]);
    expect(older.stdout).toContain("1 stale, 1 duplicate");
    expect(older.stdout).toContain("an event with a newer version has been applied");
  });

  test("takes the secret from the environment or a file when no source is named", async () => {
    const url = ["--to", `${serving.url}/webhook/stripe`];
    expect(await send("stripe", ...url, "--secret", "env:STRIPE")).toMatchObject({ code: 0, stderr: "" });
    const other = await send("stripe", ...url, "--secret", "env:OTHER");
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("got 401 signature_mismatch")]);
    const unset = await send("stripe", ...url, "--secret", "env:UNSET");
    expect([unset.code, unset.stderr]).toEqual([1, expect.stringContaining("env:UNSET is not set")]);
    const none = await send("resend", ...url);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("No secret to sign with")]);
  });

  test("takes the only source of a provider, and a source by its name", async () => {
    for (const [name, source] of [
      ["stripe", "stripe"],
      ["hmac", "shop"],
      ["shop", "shop"],
      ["paypal-bare", "paypal-bare"],
    ] as const) {
      const sent = await send(name, "--to", `${serving.url}/webhook/${source}`);
      expect([name, sent]).toEqual([name, expect.objectContaining({ code: 0, stderr: "" })]);
    }
    const several = await send("unsigned");
    expect([several.code, several.stderr]).toEqual([
      2,
      expect.stringContaining("default, paypal-dev, paypal-bare"),
    ]);
  });

  test("needs only the sources that it uses to be right", async () => {
    using other = scratch({
      "hookonce.toml": `version = 1\nlisten = "127.0.0.1:1"\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\n[sources.github]\nprovider = "github"\nsecret = "env:UNSET"\n`,
    });
    const to = ["--to", `${serving.url}/webhook/stripe`];
    const sendFrom = (...args: string[]) => run(["send", ...args], { cwd: other.path, environment });
    expect(await sendFrom("stripe", ...to)).toMatchObject({ code: 0, stderr: "" });
    const unset = await sendFrom("github", ...to);
    expect([unset.code, unset.stderr]).toEqual([1, expect.stringContaining("env:UNSET is not set")]);
    // With a secret of its own, it needs none of the source's.
    const given = await sendFrom("github", "--to", to[1] ?? "", "--secret", "env:OTHER");
    expect([given.code, given.stderr]).toEqual([1, expect.not.stringContaining("env:UNSET")]);
    expect(given.stdout).toContain("401");
  });

  test("shows why an event failed, and how to find out why a delivery was refused", async () => {
    const failed = await send("stripe", "invoice.created", ...to("stripe"));
    expect([failed.code, failed.stderr]).toEqual([
      1,
      expect.stringMatching(
        /^evt_\w+ failed: handlers\/stripe\/invoice\.created\.sql:1: UNIQUE constraint failed: credits\.customer \[handler_error\]$/m,
      ),
    ]);
    const thrown = await send("stripe", "charge.failed", ...to("stripe"));
    expect(thrown.stderr).toMatch(
      /^evt_\w+ failed: handlers\/stripe\/charge\.failed\.ts:3: no such customer \[handler_error\]$/m,
    );
    const unfinished = await send("stripe", "charge.refunded", ...to("stripe"));
    expect(unfinished.stderr).toMatch(
      /^evt_\w+ failed: handlers\/stripe\/charge\.refunded\.sql is not finished, .* \[handler_unfinished\]$/m,
    );
    const refused = await send("stripe", ...to("stripe"), "--secret", "env:OTHER");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`hookonce verify --last --source stripe --folder ${inbox.path}`),
    ]);
  });

  test("--print prints the request as verify reads it, and sends nothing", async () => {
    const printed = await send("stripe", "invoice.paid", "--print");
    expect([printed.code, printed.stderr]).toEqual([0, ""]);
    expect(printed.stdout).toMatch(
      /^POST \/webhook\/stripe HTTP\/1\.1\nhost: 127\.0\.0\.1:1\n[^]*\n\n\{"id":"evt_/,
    );
    const [, event] = /"id":"(evt_\w+)"/.exec(printed.stdout) ?? [];
    expect(serving.log.filter((line) => line["event"] === event)).toEqual([]);
    using scratched = scratch({ request: printed.stdout });
    const verify = ["verify", "--source", "stripe", "--request", join(scratched.path, "request")];
    const verified = await run([...verify, "--folder", inbox.path], { environment });
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining("It verifies.")]);
  });

  test("prints only the summary of many deliveries, shuffled and with lost answers", async () => {
    const storm = ["--events", "30", "--times", "2", "--concurrency", "8", "--shuffle", "--drop-answers"];
    const { code, stdout, stderr } = await send("stripe", ...to("stripe"), ...storm);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^120 deliveries of 30 events in \d+ ms, \d+\/s: .*60 answer not read/);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  test.each([["--tamper"], ["--stale"], ["--wrong-secret"]])("%s expects 401", async (flag) => {
    const { code, stdout, stderr } = await send("stripe", ...to("stripe"), flag);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(flag === "--stale" ? "401 timestamp_stale" : "401 signature_mismatch");
    expect(stdout.trimEnd()).toEndWith(", as expected");
  });

  test("signs with a scheme from the config, and with a scheme that covers the URL", async () => {
    expect(await send("hmac", ...to("shop"))).toMatchObject({ code: 0, stderr: "" });
    expect(await send("hmac", ...to("shop"), "--stale")).toMatchObject({ code: 0, stderr: "" });
    expect(await send("square", ...to("square"))).toMatchObject({ code: 0, stderr: "" });
  });

  test("delivers to an unsigned source with shared handlers when only the provider can sign", async () => {
    const signed = await send("paypal", ...to("paypal"));
    expect([signed.code, signed.stderr]).toEqual([1, expect.stringContaining('handlers = "paypal"')]);
    for (const source of ["paypal-dev", "paypal-bare"]) {
      const { code, stdout } = await send("paypal", ...to(source), "--times", "2");
      expect([code, stdout]).toEqual([0, expect.stringContaining("1 processed, 1 duplicate")]);
    }
  });

  test("refuses --wrong-secret before it sends anything if the key of a signature is fetched", async () => {
    for (const provider of ["paypal", "plaid"]) {
      const source = provider === "paypal" ? to("paypal") : ["--to", `${serving.url}/webhook/paypal`];
      const ended = await send(provider, ...source, "--wrong-secret");
      expect([ended.code, ended.stdout]).toEqual([2, ""]);
      expect(ended.stderr).toContain("does not work for");
    }
    expect(serving.log.filter(({ code }) => code === "key_unavailable")).toEqual([]);
  });

  test("sends several events in one delivery", async () => {
    const { code, stdout } = await send("xero", ...to("xero"), "--batch", "3");
    expect([code, stdout]).toEqual([0, expect.stringContaining("1 delivery of 3 events")]);
  });

  test("signs with a private key when the source has only the public key", async () => {
    const without = await send("discord", ...to("discord"));
    expect([without.code, without.stderr]).toEqual([1, expect.stringContaining("--make-key-pair")]);
    const key = ["--private-key", "file:discord.pem"];
    const { code, stdout } = await send("discord", ...to("discord"), ...key);
    expect([code, stdout]).toEqual([0, expect.stringContaining("204 accepted")]);
    expect((await send("discord", "--make-key-pair", join(inbox.path, "discord.pem"))).code).toBe(1);
  });

  test("sends a file as the body, and accepts duplicate as its first answer", async () => {
    inbox.write({ "event.json": JSON.stringify({ id: "evt_file", type: "invoice.paid" }) });
    const data = ["--data", join(inbox.path, "event.json")];
    expect((await send("stripe", ...to("stripe"), ...data)).stdout).toContain("evt_file  200 processed");
    const again = await send("stripe", ...to("stripe"), ...data);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("evt_file  200 duplicate")]);
  });

  test("never prints a secret", async () => {
    const { stdout, stderr } = await send("stripe", ...to("stripe"), "--data", "/nowhere");
    expect(stdout + stderr).toContain("--data cannot be read");
    expect(stdout + stderr).not.toContain("whsec_cli");
  });

  for (const { args, code, says } of [
    { args: ["strpe"], code: 2, says: "did you mean stripe?" },
    { args: ["resend"], code: 2, says: "To add one: hookonce add resend" },
    {
      args: ["stripe"],
      code: 1,
      says: "nothing listens on http://127.0.0.1:1: is `hookonce serve` running?",
    },
    { args: ["stripe", "--to", "localhost"], code: 2, says: "full URL" },
    { args: ["stripe", "--to", "http://127.0.0.1:1", "--times", "0"], code: 2, says: "whole number" },
    {
      args: ["stripe", "--to", "http://127.0.0.1:1", "--secret", "whsec_oops"],
      code: 2,
      says: "shell's history",
    },
    { args: ["stripe", "--source", "nobody"], code: 1, says: 'no source "nobody"' },
    { args: ["mailgun", "--source", "mailgun", "--tamper"], code: 1, says: "not the body" },
    { args: ["xero", "--source", "xero", "--stale"], code: 1, says: "checks no time" },
    { args: ["stripe", "--source", "stripe", "--batch", "2"], code: 1, says: "one event in each delivery" },
    { args: ["unsigned", "--source", "default", "--wrong-secret"], code: 1, says: "not signed" },
    { args: ["plaid", "--to", "http://127.0.0.1:1"], code: 1, says: "unsigned source" },
    {
      args: ["stripe", "--source", "stripe", "--to", "http://127.0.0.1:1"],
      code: 1,
      says: "nothing listens on http://127.0.0.1:1",
    },
  ]) {
    test.concurrent(`refuses ${args.join(" ")}`, async () => {
      const [provider = "", ...rest] = args;
      const ended = await send(provider, ...rest);
      expect([ended.code, ended.stderr]).toEqual([code, expect.stringContaining(says)]);
      expect(ended.stderr).not.toContain("whsec_oops");
      expect(ended.stderr).not.toContain("    at ");
    });
  }
});
