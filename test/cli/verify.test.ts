import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { report } from "../../src/cli/verify.ts";
import type { InboxDiagnosis } from "../../src/doctor/in-inbox.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { stripeSignature } from "../support/stripe.ts";
import { run, scratch, serve } from "./support/hookonce.ts";

const SECRET = "whsec_Q2hlY2tNZU91dFBsZWFzZTEyMzQ1Njc4";
const LISTEN = `whsec_${"0a1b2c3d".repeat(8)}`;
const BODY = '{"id":"evt_1","type":"invoice.paid","livemode":false}';
const AT = 1_769_860_800; // 2026-01-31T12:00:00Z

const request = (body: string, { secret = SECRET, signedBody = body, at = AT } = {}): string =>
  [
    "POST /webhook/stripe HTTP/1.1",
    "Host: localhost:8787",
    "Content-Type: application/json",
    `Stripe-Signature: ${stripeSignature(secret, signedBody, at)}`,
    "",
    body,
  ].join("\r\n");

/** A line of hookonce's own log. */
const rejected = (ageS: number): string =>
  JSON.stringify({
    level: "warn",
    time: "2026-01-31T12:00:00.000Z",
    source: "stripe",
    outcome: "rejected",
    code: "timestamp_stale",
    cause: `It was signed ${ageS} s ago; 300 s are allowed. Is this machine's clock right?`,
    ms: 0.1,
    msg: "delivery",
  });

const files = {
  "hookonce.toml": `version = 1
[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"
`,
  ".env": `STRIPE_WEBHOOK_SECRET=${SECRET}\nSTRIPE_LISTEN_SECRET=${LISTEN}\n`,
  "good.http": request(BODY),
  "cut.http": request(BODY, { signedBody: `${BODY}\n` }),
  "listen.http": request(BODY, { secret: LISTEN }),
  "no-id.http": request('{"type":"x"}'),
  "broken.http": "what is this",
  "headers.json": JSON.stringify({ "stripe-signature": stripeSignature(SECRET, BODY, AT) }),
  "body.json": BODY,
  "serve.log": [...Array.from({ length: 25 }, (_, index) => rejected(900 + index)), "not JSON", ""].join(
    "\n",
  ),
};

interface Scenario {
  name: string;
  args: string[];
  code: number;
  /** Texts of standard output, or of standard error if the command could not run. */
  says: string[];
  not?: string[];
}

const at = ["--at", "2026-01-31T12:00:10Z"];

const scenarios: Scenario[] = [
  {
    name: "a good request at the time it was signed",
    args: ["--request", "good.http", ...at],
    code: 0,
    says: ["source stripe, Stripe", "expected:", "found:", "It verifies.", "event evt_1, invoice.paid"],
    not: ["Cause", "refused"],
  },
  {
    name: "the same request in two files, with the time in Unix seconds",
    args: ["--headers", "headers.json", "--body", "body.json", "--at", String(AT)],
    code: 0,
    says: ["It verifies."],
  },
  {
    name: "a good request that is now too old",
    args: ["--request", "good.http"],
    code: 1,
    says: ["[timestamp_stale]", "but its age is not", "--at 2026-01-31T12:00:00.000Z"],
  },
  {
    name: "a good request that is too old, with a log that shows a wrong clock",
    args: ["--request", "good.http", "--log", "serve.log", "--at", String(AT + 950)],
    code: 1,
    says: ["last 20 rejected deliveries of this source were all too old", "about 905 s ahead"],
  },
  {
    name: "a body that lost its last line break",
    args: ["--request", "cut.http", ...at],
    code: 1,
    says: ["[signature_mismatch]", "Cause: A line break at the end of the body was lost."],
  },
  {
    name: "a request signed with a secret of .env that no source uses",
    args: ["--request", "listen.http", ...at],
    code: 1,
    says: ["Cause: It is signed with STRIPE_LISTEN_SECRET in .env", "STRIPE_LISTEN_SECRET in .env"],
  },
  {
    name: "a request that verifies but has no event id",
    args: ["--request", "no-id.http", ...at],
    code: 0,
    says: ["It verifies.", "[missing_event_id]"],
  },
  {
    name: "a file that is not a request",
    args: ["--request", "broken.http"],
    code: 1,
    says: ["cannot be read", "[request_unreadable]"],
  },
  {
    name: "a file that does not exist",
    args: ["--request", "none.http"],
    code: 1,
    says: ["none.http cannot be read"],
  },
  { name: "nothing to verify", args: [], code: 2, says: ["--request <file>"] },
  { name: "headers without a body", args: ["--headers", "headers.json"], code: 2, says: ["--body <file>"] },
  {
    name: "an invalid time",
    args: ["--request", "good.http", "--at", "noon"],
    code: 2,
    says: ["2026-01-31T12:00:00Z"],
  },
];

test("the report does not repeat the message with which the delivery was refused", () => {
  const said = "The body is not JSON.";
  const finding = { cause: "as_refused", proven: true, what: said, remedy: "Look at the body." } as const;
  const diagnosis: InboxDiagnosis = {
    source: "default",
    provider: "Unsigned",
    docs: "https://example.com",
    expected: [],
    found: [],
    verified: true,
    refusal: undefined,
    findings: [finding],
    handshake: undefined,
    events: [`none: ${said} [invalid_json]`],
  };
  expect(report(diagnosis)).toContain(`event none: ${said} [invalid_json]\n\nCause: ${said}\n  Fix: Look at`);
  expect(report(diagnosis, said)).toBe(
    "source default, Unsigned\n\nIt verifies.\n\nFix: Look at the body.\n",
  );
  const refusal = { code: "invalid_json", message: said } as const;
  const again = report({ ...diagnosis, verified: false, refusal, events: [] }, said);
  expect(again).toContain("It is refused again, for the same reason.\n\nFix: Look at the body.\n");
  expect(again).not.toContain(said);
});

describeUnless(onlyInFullRun(), "hookonce verify", () => {
  test.concurrent.each(scenarios.map((one) => [one.name, one] as const))(
    "%s",
    async (_, { args, code, says, not = [] }) => {
      using inbox = scratch(files);
      const ended = await run(["verify", "--source", "stripe", ...args], { cwd: inbox.path });
      const text = ended.stdout + ended.stderr;
      expect({ code: ended.code, text }).toEqual({ code, text });
      for (const one of says) expect(text).toContain(one);
      for (const one of not) expect(text).not.toContain(one);
      for (const secret of [SECRET, LISTEN, SECRET.slice(6), LISTEN.slice(6)])
        expect(text).not.toContain(secret);
      for (const body of [BODY, `${BODY}\n`]) {
        for (const secret of [SECRET, LISTEN]) {
          const [, signature = ""] = stripeSignature(secret, body, AT).split("v1=");
          expect(text).not.toContain(signature.slice(0, 10));
        }
      }
    },
  );

  test("takes the inbox folder from --folder, and suggests the right name for a misspelled source", async () => {
    using inbox = scratch(files);
    const folder = ["--folder", inbox.path, "--request", `${inbox.path}/good.http`, ...at];
    expect((await run(["verify", "--source", "stripe", ...folder])).code).toBe(0);
    const { code, stderr } = await run(["verify", "--source", "strip", ...folder]);
    expect(code).toBe(1);
    expect(stderr).toContain("did you mean stripe?");
    expect((await run(["verify", ...folder])).code).toBe(2);
  });

  test("--last diagnoses what the running serve refused last, for a source or for any", async () => {
    using inbox = scratch({
      ...files,
      "hookonce.toml": `${files["hookonce.toml"]}[sources.gitlab]\nprovider = "gitlab-token"\nsecret = "env:STRIPE_LISTEN_SECRET"\n[sources.notion]\nprovider = "notion"\n`,
    });
    const verify = (...args: string[]) => run(["verify", "--last", ...args], { cwd: inbox.path });
    const dead = await verify();
    expect([dead.code, dead.stderr]).toEqual([1, expect.stringContaining("[not_serving]")]);

    await using server = await serve(inbox.path, { dev: false });
    const nothing = await verify();
    expect([nothing.code, nothing.stderr]).toEqual([
      1,
      "hookonce serve has refused no delivery since it started.\n",
    ]);

    const toStripe = ["--to", `${server.url}/webhook/stripe`];
    const secret = ["--secret", "env:STRIPE_LISTEN_SECRET"];
    const sent = await run(["send", "stripe", ...secret, ...toStripe], { cwd: inbox.path });
    expect(sent.stderr).toContain("hookonce verify --last --source stripe");
    const other = await fetch(`${server.url}/webhook/gitlab`, {
      method: "POST",
      headers: { "x-gitlab-token": "a secret of somebody else" },
      body: "{}",
    });
    expect(other.status).toBe(401);

    const stripe = await verify("--source", "stripe");
    expect([stripe.code, stripe.stderr]).toEqual([1, ""]);
    for (const says of [
      /^POST \/webhook\/stripe was refused at .*Z: .* \[signature_mismatch\]$/m,
      /^Cause: It is signed with the secret of the source gitlab/m,
    ])
      expect(stripe.stdout).toMatch(says);
    // The last one of any source: its secret was blanked, so nothing is compared.
    const any = await verify();
    expect(any.stdout).toContain("POST /webhook/gitlab was refused");
    expect(any.stdout).toContain("proves who it is only with the secret");
    expect(any.stdout).not.toContain("somebody else");

    // Notion hands out its secret, which the log does not contain.
    const body = '{"verification_token":"secret_notion"}';
    expect((await fetch(`${server.url}/webhook/notion`, { method: "POST", body })).status).toBe(200);
    const notion = await verify("--source", "notion");
    expect([notion.code, notion.stdout]).toEqual([
      0,
      expect.stringContaining("Source notion has received the secret secret_notion."),
    ]);

    // The secret changes, and serve is not restarted.
    writeFileSync(join(inbox.path, ".env"), files[".env"].replace(SECRET, LISTEN));
    expect(await run(["send", "stripe", ...toStripe], { cwd: inbox.path })).toMatchObject({ code: 1 });
    const changed = await verify("--source", "stripe");
    expect([changed.code, changed.stderr]).toEqual([0, ""]);
    expect(changed.stdout).toContain("It verifies with what the config says now.");
    expect(changed.stdout).toContain("Cause: serve still has the old secret");
    expect(changed.stdout).not.toContain(LISTEN);

    // After a reload, serve has the secret with which it verifies.
    expect(await run(["reload", inbox.path])).toMatchObject({ code: 0 });
    const reloaded = await verify("--source", "stripe");
    expect(reloaded.code).toBe(0);
    expect(reloaded.stdout).toContain("It verifies with what the config says now.");
    expect(reloaded.stdout).toContain("Cause: it was refused before the reload at ");

    for (const [args, code, says] of [
      [["--source", "strip"], 1, "did you mean stripe?"],
      [["--request", "good.http"], 2, "leave out the files"],
    ] as const) {
      const ended = await verify(...args);
      expect([ended.code, ended.stderr]).toEqual([code, expect.stringContaining(says)]);
    }
  }, 120_000);
});
