import { describe, expect, test } from "bun:test";
import { libraryOf, type OfficialLibrary } from "./official.ts";
import {
  AT,
  deliveryTo,
  MISMATCH,
  PROCESSED,
  sharedOfficialInbox,
  verdict,
  type Answer,
} from "./signed-inbox.ts";

const MALFORMED: Answer = { status: 401, said: "signature_malformed" };
const TIME_MISSING: Answer = { status: 401, said: "timestamp_missing" };
const TIME_INVALID: Answer = { status: 401, said: "timestamp_invalid" };

const shared = sharedOfficialInbox();

describe("a header that is given twice is one header, joined by a comma", () => {
  // As RFC 9110 has it. Whether what comes of it still is a signature is for the scheme to say.
  const scenarios: {
    provider: OfficialLibrary["provider"];
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
      const official = libraryOf(provider);
      const id = shared.newId();
      const body = official.body(id, "thing.happened");
      const sign = async (which: "right" | "wrong"): Promise<Record<string, string>> =>
        official.sign(which === "right" ? body : `${body} `, { secret: official.secrets[0], id, at: AT });
      const headers = new Headers(await sign(first));
      headers.append(official.signatureHeader, (await sign(second))[official.signatureHeader] as string);

      expect(await deliveryTo(shared.inbox, provider, body, headers)).toEqual(verdict(answer));
    },
  );
});

describe("several signatures in one header", () => {
  const scenarios: {
    name: string;
    provider: OfficialLibrary["provider"];
    header: (right: string, wrong: string) => string;
    answer: Answer;
  }[] = [
    // stripe: `right` and `wrong` are bare digests
    {
      name: "any v1 may match",
      provider: "stripe",
      header: (r, w) => `t=${AT},v1=${w},v1=${r},v1=${w}`,
      answer: PROCESSED,
    },
    {
      name: "no v1 matches",
      provider: "stripe",
      header: (_, w) => `t=${AT},v1=${w},v1=${w}`,
      answer: MISMATCH,
    },
    {
      name: "v0 is not looked at",
      provider: "stripe",
      header: (r, w) => `t=${AT},v1=${w},v0=${r}`,
      answer: MISMATCH,
    },
    { name: "only a v0", provider: "stripe", header: (r) => `t=${AT},v0=${r}`, answer: MALFORMED },
    {
      name: "an empty v1 beside the right one",
      provider: "stripe",
      header: (r) => `t=${AT},v1=,v1=${r}`,
      answer: PROCESSED,
    },
    { name: "an empty v1 alone", provider: "stripe", header: () => `t=${AT},v1=`, answer: MALFORMED },
    { name: "a v1 without a value", provider: "stripe", header: () => `t=${AT},v1`, answer: MALFORMED },
    { name: "the time last", provider: "stripe", header: (r) => `v1=${r},t=${AT}`, answer: PROCESSED },
    {
      name: "no time",
      provider: "stripe",
      header: (r) => `v1=${r}`,
      answer: TIME_MISSING,
    },
    {
      name: "an empty time",
      provider: "stripe",
      header: (r) => `t=,v1=${r}`,
      answer: TIME_MISSING,
    },
    {
      name: "a time that is none",
      provider: "stripe",
      header: (r) => `t=now,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "a negative time",
      provider: "stripe",
      header: (r) => `t=-1,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "a time of 15 digits",
      provider: "stripe",
      header: (r) => `t=179000000000000,v1=${r}`,
      answer: TIME_INVALID,
    },
    {
      name: "another time than the signed one",
      provider: "stripe",
      header: (r) => `t=${AT + 1},v1=${r}`,
      answer: MISMATCH,
    },
    // standard-webhooks: `right` and `wrong` with their `v1,`
    {
      name: "any v1 may match",
      provider: "standard-webhooks",
      header: (r, w) => `${w} ${r} ${w}`,
      answer: PROCESSED,
    },
    {
      name: "unknown versions are passed over",
      provider: "standard-webhooks",
      header: (r) => `v1a,AAAA v2,BBBB ${r}`,
      answer: PROCESSED,
    },
    {
      name: "the right digest under another version",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", "v2,"),
      answer: MALFORMED,
    },
    {
      name: "the right digest under v1a, which is ed25519",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", "v1a,"),
      answer: MALFORMED,
    },
    { name: "an empty v1", provider: "standard-webhooks", header: () => "v1,", answer: MALFORMED },
    {
      name: "the digest without its version",
      provider: "standard-webhooks",
      header: (r) => r.replace("v1,", ""),
      answer: MALFORMED,
    },
    // github and razorpay have one each
    {
      name: "the digest without its prefix",
      provider: "github",
      header: (r) => r.replace("sha256=", ""),
      answer: MALFORMED,
    },
    {
      name: "the digest under the old algorithm's name",
      provider: "github",
      header: (r) => r.replace("sha256=", "sha1="),
      answer: MALFORMED,
    },
    { name: "an empty digest", provider: "github", header: () => "sha256=", answer: MALFORMED },
    {
      name: "with a prefix that is not its own",
      provider: "razorpay",
      header: (r) => `sha256=${r}`,
      answer: MISMATCH,
    },
  ];

  test.each(scenarios.map((row) => [`${row.provider}: ${row.name}`, row] as const))(
    "%s",
    async (_, { provider, header, answer }) => {
      const official = libraryOf(provider);
      const signing = { secret: official.secrets[0], id: shared.newId(), at: AT };
      const body = official.body(signing.id, "thing.happened");
      const sign = async (text: string): Promise<string> => {
        const headers = await official.sign(text, signing);
        return (headers[official.signatureHeader] as string).replace(/^t=\d+,v1=/, "");
      };
      const headers = await official.sign(body, signing);
      headers[official.signatureHeader] = header(await sign(body), await sign(`${body} `));

      expect(await deliveryTo(shared.inbox, provider, body, headers)).toEqual(verdict(answer));
    },
  );
});

/** Sends these header lines as they are, and gives back the status of the answer. */
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
  test("a signature on two lines, in whatever letters, is what it is joined by a comma", async () => {
    const stripe = libraryOf("stripe");
    const github = libraryOf("github");
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
