import { describe, expect, test } from "bun:test";
import { providerCalled, type SignedProvider } from "./four-providers.ts";
import {
  AT,
  deliveryTo,
  MISMATCH,
  PROCESSED,
  sharedInboxOfFour,
  outcomeOf,
  type Answer,
} from "./signed-inbox.ts";

const MALFORMED: Answer = { status: 401, said: "signature_malformed" };
const TIME_MISSING: Answer = { status: 401, said: "timestamp_missing" };
const TIME_INVALID: Answer = { status: 401, said: "timestamp_invalid" };

const shared = sharedInboxOfFour();

describe("a signature header that is sent twice is read as one, joined by a comma", () => {
  // RFC 9110, 5.3. Whether the joined value is a signature depends on the scheme.
  const scenarios: {
    provider: SignedProvider["name"];
    first: "right" | "wrong";
    second: "right" | "wrong";
    answer: Answer;
  }[] = [
    { provider: "stripe", first: "right", second: "right", answer: PROCESSED },
    { provider: "stripe", first: "right", second: "wrong", answer: PROCESSED },
    { provider: "stripe", first: "wrong", second: "right", answer: PROCESSED },
    { provider: "stripe", first: "wrong", second: "wrong", answer: MISMATCH },
    { provider: "github", first: "right", second: "right", answer: MISMATCH },
    { provider: "github", first: "right", second: "wrong", answer: MISMATCH },
    { provider: "github", first: "wrong", second: "right", answer: MISMATCH },
    { provider: "razorpay", first: "right", second: "right", answer: MISMATCH },
    { provider: "razorpay", first: "wrong", second: "right", answer: MISMATCH },
    { provider: "standard-webhooks", first: "right", second: "right", answer: PROCESSED },
    { provider: "standard-webhooks", first: "wrong", second: "right", answer: PROCESSED },
    { provider: "standard-webhooks", first: "right", second: "wrong", answer: MISMATCH },
    { provider: "standard-webhooks", first: "wrong", second: "wrong", answer: MISMATCH },
  ];

  test.each(scenarios.map((row) => [`${row.provider}: ${row.first}, then ${row.second}`, row] as const))(
    "%s",
    async (_, { provider, first, second, answer }) => {
      const sender = providerCalled(provider);
      const id = shared.newId();
      const body = sender.body(id, "thing.happened");
      const sign = async (which: "right" | "wrong"): Promise<Record<string, string>> =>
        sender.sign(which === "right" ? body : `${body} `, { secret: sender.secrets[0], id, at: AT });
      const headers = new Headers(await sign(first));
      headers.append(sender.signatureHeader, (await sign(second))[sender.signatureHeader] as string);

      expect(await deliveryTo(shared.inbox, provider, body, headers)).toEqual(outcomeOf(answer));
    },
  );
});

describe("several signatures in one header", () => {
  const scenarios: {
    name: string;
    provider: SignedProvider["name"];
    header: (right: string, wrong: string) => string;
    answer: Answer;
  }[] = [
    // stripe: `right` and `wrong` are digests alone.
    {
      name: "accepts it if any v1 matches",
      provider: "stripe",
      header: (r, w) => `t=${AT},v1=${w},v1=${r},v1=${w}`,
      answer: PROCESSED,
    },
    {
      name: "refuses it if no v1 matches",
      provider: "stripe",
      header: (_, w) => `t=${AT},v1=${w},v1=${w}`,
      answer: MISMATCH,
    },
    {
      name: "ignores v0",
      provider: "stripe",
      header: (r, w) => `t=${AT},v1=${w},v0=${r}`,
      answer: MISMATCH,
    },
    {
      name: "finds no signature if there is only a v0",
      provider: "stripe",
      header: (r) => `t=${AT},v0=${r}`,
      answer: MALFORMED,
    },
    {
      name: "ignores an empty v1 beside the right one",
      provider: "stripe",
      header: (r) => `t=${AT},v1=,v1=${r}`,
      answer: PROCESSED,
    },
    {
      name: "finds no signature in an empty v1",
      provider: "stripe",
      header: () => `t=${AT},v1=`,
      answer: MALFORMED,
    },
    {
      name: "finds no signature in a v1 without a value",
      provider: "stripe",
      header: () => `t=${AT},v1`,
      answer: MALFORMED,
    },
    {
      name: "accepts the time after the signature",
      provider: "stripe",
      header: (r) => `v1=${r},t=${AT}`,
      answer: PROCESSED,
    },
    {
      name: "requires a time",
      provider: "stripe",
      header: (r) => `v1=${r}`,
      answer: TIME_MISSING,
    },
    {
      name: "refuses an empty time",
      provider: "stripe",
      header: (r) => `t=,v1=${r}`,
      answer: TIME_MISSING,
    },
    {
      name: "refuses a time that is not a number",
      provider: "stripe",
      header: (r) => `t=now,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "refuses a negative time",
      provider: "stripe",
      header: (r) => `t=-1,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "refuses a time of 15 digits",
      provider: "stripe",
      header: (r) => `t=179000000000000,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "refuses a time other than the signed one",
      provider: "stripe",
      header: (r) => `t=${AT + 1},v1=${r}`,
      answer: MISMATCH,
    },
    // standard-webhooks: `right` and `wrong` include `v1,`.
    {
      name: "accepts it if any v1 matches",
      provider: "standard-webhooks",
      header: (r, w) => `${w} ${r} ${w}`,
      answer: PROCESSED,
    },
    {
      name: "ignores unknown versions",
      provider: "standard-webhooks",
      header: (r) => `v1a,AAAA v2,BBBB ${r}`,
      answer: PROCESSED,
    },
    {
      name: "ignores the right digest under another version",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", "v2,"),
      answer: MALFORMED,
    },
    {
      name: "ignores the right digest under v1a, which is ed25519",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", "v1a,"),
      answer: MALFORMED,
    },
    {
      name: "finds no signature in an empty v1",
      provider: "standard-webhooks",
      header: () => "v1,",
      answer: MALFORMED,
    },
    {
      name: "refuses the digest without its version",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", ""),
      answer: MALFORMED,
    },
    // github and razorpay send one signature.
    {
      name: "refuses the digest without its prefix",
      provider: "github",
      header: (r) => r.replace("sha256=", ""),
      answer: MALFORMED,
    },
    {
      name: "refuses the digest with the prefix of SHA-1",
      provider: "github",
      header: (r) => r.replace("sha256=", "sha1="),
      answer: MALFORMED,
    },
    { name: "refuses an empty digest", provider: "github", header: () => "sha256=", answer: MALFORMED },
    {
      name: "refuses the digest with another provider's prefix",
      provider: "razorpay",
      header: (r) => `sha256=${r}`,
      answer: MISMATCH,
    },
  ];

  test.each(scenarios.map((row) => [`${row.provider}: ${row.name}`, row] as const))(
    "%s",
    async (_, { provider, header, answer }) => {
      const sender = providerCalled(provider);
      const signing = { secret: sender.secrets[0], id: shared.newId(), at: AT };
      const body = sender.body(signing.id, "thing.happened");
      const sign = async (text: string): Promise<string> => {
        const headers = await sender.sign(text, signing);
        return (headers[sender.signatureHeader] as string).replace(/^t=\d+,v1=/, "");
      };
      const headers = await sender.sign(body, signing);
      headers[sender.signatureHeader] = header(await sign(body), await sign(`${body} `));

      expect(await deliveryTo(shared.inbox, provider, body, headers)).toEqual(outcomeOf(answer));
    },
  );
});

/** Sends these header lines unchanged. Returns the status of the answer. */
async function statusOf(lines: readonly string[], body: string): Promise<number> {
  const { hostname, port } = new URL(shared.inbox.listen().url);
  const answered = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_, chunk) => answered.resolve(chunk.toString()),
      close: () => answered.resolve(""),
      error: (_, error) => answered.reject(error),
    },
  });
  const head = [
    ...lines,
    `host: ${hostname}`,
    "connection: close",
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  const answer = await answered.promise;
  socket.end();
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

describe("over a real socket", () => {
  test("a signature on two lines, in any case, is read as one value joined by a comma", async () => {
    const stripe = providerCalled("stripe");
    const github = providerCalled("github");
    const id = shared.newId();
    const signing = { secret: stripe.secrets[0], id, at: AT };
    const body = stripe.body(id, "thing.happened");
    const signed = await stripe.sign(body, signing);
    const [time, digest] = (signed["stripe-signature"] as string).split(",") as [string, string];
    const post = "POST /webhook/stripe HTTP/1.1";
    expect(await statusOf([post, `STRIPE-signature: ${time}`], body)).toBe(401);
    expect(await statusOf([post, `Stripe-Signature:${time},v1=00`, `stripe-signature:   v1=00`], body)).toBe(
      401,
    );
    expect(
      await statusOf([post, `Stripe-Signature: ${time},${digest}`, "stripe-signature: v1=00"], body),
    ).toBe(200);

    const signature = (await github.sign(body, { ...signing, secret: github.secrets[0] }))[
      "x-hub-signature-256"
    ];
    const headers = ["POST /webhook/github HTTP/1.1", `x-github-delivery: ${id}`, "x-github-event: push"];
    const line = `X-Hub-Signature-256: ${signature}`;
    expect(await statusOf([...headers, line, line], body)).toBe(401);
    expect(await statusOf([...headers, line], body)).toBe(200);
  });
});
