import { describe, expect, test } from "bun:test";
import { officialLibraries, type OfficialLibrary } from "./official.ts";
import { NOTHING, NOW, officialInbox, post, storedIn, type Answer } from "./signed-inbox.ts";

const AT = NOW / 1000;

const MISMATCH: Answer = { status: 401, said: "signature_mismatch" };
const MISSING: Answer = { status: 401, said: "signature_missing" };
const MALFORMED: Answer = { status: 401, said: "signature_malformed" };
const PROCESSED: Answer = { status: 200, said: "processed" };

function library(provider: OfficialLibrary["provider"]): OfficialLibrary {
  return officialLibraries.find((one) => one.provider === provider) as OfficialLibrary;
}

describe.each(officialLibraries.map((one) => [one.provider, one] as const))(
  "%s, signed by its own library",
  (provider, official) => {
    const [current, old] = official.secrets;
    const body = official.body("evt_1", "thing.happened");

    test("is taken, applied once, and kept byte for byte", async () => {
      await using inbox = await officialInbox();
      const headers = await official.sign(body, { secret: current, id: "evt_1", at: AT });
      expect(await post(inbox, provider, body, headers)).toEqual(PROCESSED);
      expect(await post(inbox, provider, body, headers)).toEqual({ status: 200, said: "duplicate" });

      expect(storedIn(inbox)).toEqual({ events: 1, deliveries: 1, failures: 0, effects: 1 });
      const type = provider === "github" ? "push" : "thing.happened";
      expect(inbox.rows("select * from effects")).toEqual([{ source: provider, event_id: "evt_1", type }]);
      expect(
        Buffer.from(inbox.value("select body from hookonce_deliveries") as Uint8Array).equals(
          Buffer.from(body),
        ),
      ).toBe(true);
    });

    test("is taken with either of two secrets, and with no third", async () => {
      await using inbox = await officialInbox();
      const signed = (secret: string, id: string) => official.sign(body, { secret, id, at: AT });
      expect(await post(inbox, provider, body, await signed(current, "evt_1"))).toEqual(PROCESSED);
      // The same event, signed with the secret before: it is the same event.
      expect(await post(inbox, provider, body, await signed(old, "evt_1"))).toEqual({
        status: 200,
        said: "duplicate",
      });
      const third = provider === "standard-webhooks" ? `${current.slice(0, -1)}A` : `${current}x`;
      expect(await post(inbox, provider, body, await signed(third, "evt_2"))).toEqual(MISMATCH);
      expect(storedIn(inbox)).toEqual({ events: 1, deliveries: 1, failures: 0, effects: 1 });
    });

    test("is refused where the signature was made for another body, or another source's secret", async () => {
      await using inbox = await officialInbox();
      const headers = await official.sign(body, { secret: current, id: "evt_1", at: AT });
      const other = official.body("evt_2", "thing.happened");
      expect(await post(inbox, provider, other, headers)).toEqual(MISMATCH);
      // The same text again, in another encoding or with a line break at its end.
      expect(await post(inbox, provider, Buffer.from(body, "utf16le"), headers)).toEqual(MISMATCH);
      expect(await post(inbox, provider, `${body}\n`, headers)).toEqual(MISMATCH);
      expect(await post(inbox, provider, "", headers)).toEqual(MISMATCH);
      for (const elsewhere of officialLibraries) {
        if (elsewhere.provider === provider) continue;
        expect((await post(inbox, elsewhere.provider, body, headers)).status).toBe(401);
      }
      expect(storedIn(inbox)).toEqual(NOTHING);
    });

    test("is refused when its signature is missing, empty, double, or spelled otherwise", async () => {
      await using inbox = await officialInbox();
      const headers = await official.sign(body, { secret: current, id: "evt_1", at: AT });
      const name = official.signatureHeader;
      const signature = headers[name] as string;
      const without = { ...headers };
      delete without[name];
      const send = (value: string): Promise<Answer> =>
        post(inbox, provider, body, { ...headers, [name]: value });

      expect(await post(inbox, provider, body, without)).toEqual(MISSING);
      expect(await send("")).toEqual(MISSING);
      expect((await send(" ")).status).toBe(401);
      expect((await send("undefined")).status).toBe(401);
      expect((await send(signature.slice(0, -1))).status).toBe(401);
      expect((await send(`${signature}0`)).status).toBe(401);
      expect((await send(`"${signature}"`)).status).toBe(401);
      expect((await send(signature.toUpperCase())).status).toBe(401);
      expect((await send(`x${signature}`)).status).toBe(401);
      // Only the part before the digest is left, as a sender does that has no secret.
      expect((await send(signature.replace(/[0-9a-zA-Z+/]{40,}=*/, ""))).status).toBe(401);
      for (const header of official.signedHeaders) {
        const gone = { ...headers };
        delete gone[header];
        expect((await post(inbox, provider, body, gone)).status).toBe(401);
        expect((await post(inbox, provider, body, { ...headers, [header]: "" })).status).toBe(401);
        expect((await post(inbox, provider, body, { ...headers, [header]: `${headers[header]}0` })).status).toBe(
          401,
        );
        const twice = new Headers(headers);
        twice.append(header, headers[header] as string);
        expect((await post(inbox, provider, body, twice)).status).toBe(401);
      }
      expect(storedIn(inbox)).toEqual(NOTHING);
    });
  },
);

describe("a header that is given twice is one header, joined by a comma", () => {
  // As RFC 9110 has it. Whether that still is a signature is for the scheme to say, never for the order of the two.
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
      await using inbox = await officialInbox();
      const official = library(provider);
      const body = official.body("evt_1", "thing.happened");
      const sign = async (which: "right" | "wrong"): Promise<Record<string, string>> =>
        official.sign(which === "right" ? body : `${body} `, {
          secret: official.secrets[0],
          id: "evt_1",
          at: AT,
        });
      const headers = new Headers(await sign(first));
      headers.append(official.signatureHeader, (await sign(second))[official.signatureHeader] as string);

      expect(await post(inbox, provider, body, headers)).toEqual(answer);
      const taken = answer === PROCESSED ? 1 : 0;
      expect(storedIn(inbox)).toEqual({ events: taken, deliveries: taken, failures: 0, effects: taken });
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
    { name: "any v1 may match", provider: "stripe", header: (r, w) => `t=${AT},v1=${w},v1=${r},v1=${w}`, answer: PROCESSED },
    { name: "no v1 matches", provider: "stripe", header: (_, w) => `t=${AT},v1=${w},v1=${w}`, answer: MISMATCH },
    { name: "v0 is not looked at", provider: "stripe", header: (r, w) => `t=${AT},v1=${w},v0=${r}`, answer: MISMATCH },
    { name: "only a v0", provider: "stripe", header: (r) => `t=${AT},v0=${r}`, answer: MALFORMED },
    { name: "an empty v1 beside the right one", provider: "stripe", header: (r) => `t=${AT},v1=,v1=${r}`, answer: PROCESSED },
    { name: "an empty v1 alone", provider: "stripe", header: () => `t=${AT},v1=`, answer: MALFORMED },
    { name: "a v1 without a value", provider: "stripe", header: () => `t=${AT},v1`, answer: MALFORMED },
    { name: "the time last", provider: "stripe", header: (r) => `v1=${r},t=${AT}`, answer: PROCESSED },
    { name: "no time", provider: "stripe", header: (r) => `v1=${r}`, answer: { status: 401, said: "timestamp_missing" } },
    { name: "an empty time", provider: "stripe", header: (r) => `t=,v1=${r}`, answer: { status: 401, said: "timestamp_missing" } },
    { name: "a time that is none", provider: "stripe", header: (r) => `t=now,v1=${r}`, answer: { status: 401, said: "timestamp_invalid" } },
    { name: "a negative time", provider: "stripe", header: (r) => `t=-1,v1=${r}`, answer: { status: 401, said: "timestamp_invalid" } },
    { name: "a time of 15 digits", provider: "stripe", header: (r) => `t=179000000000000,v1=${r}`, answer: { status: 401, said: "timestamp_invalid" } },
    { name: "another time than the signed one", provider: "stripe", header: (r) => `t=${AT + 1},v1=${r}`, answer: MISMATCH },
    // standard-webhooks: `right` and `wrong` with their `v1,`
    { name: "any v1 may match", provider: "standard-webhooks", header: (r, w) => `${w} ${r} ${w}`, answer: PROCESSED },
    { name: "unknown versions are passed over", provider: "standard-webhooks", header: (r) => `v1a,AAAA v2,BBBB ${r}`, answer: PROCESSED },
    { name: "the right digest under another version", provider: "standard-webhooks", header: (r) => r.replace("v1,", "v2,"), answer: MALFORMED },
    { name: "the right digest under v1a, which is ed25519", provider: "standard-webhooks", header: (r) => r.replace("v1,", "v1a,"), answer: MALFORMED },
    { name: "an empty v1", provider: "standard-webhooks", header: () => "v1,", answer: MALFORMED },
    { name: "the digest without its version", provider: "standard-webhooks", header: (r) => r.replace("v1,", ""), answer: MALFORMED },
    // github and razorpay have one each
    { name: "the digest without its prefix", provider: "github", header: (r) => r.replace("sha256=", ""), answer: MALFORMED },
    { name: "the digest under the old algorithm's name", provider: "github", header: (r) => r.replace("sha256=", "sha1="), answer: MALFORMED },
    { name: "an empty digest", provider: "github", header: () => "sha256=", answer: MALFORMED },
    { name: "with a prefix that is not its own", provider: "razorpay", header: (r) => `sha256=${r}`, answer: MISMATCH },
  ]; // prettier-ignore

  test.each(scenarios.map((row) => [`${row.provider}: ${row.name}`, row] as const))(
    "%s",
    async (_, { provider, header, answer }) => {
      await using inbox = await officialInbox();
      const official = library(provider);
      const body = official.body("evt_1", "thing.happened");
      const sign = async (text: string): Promise<string> => {
        const headers = await official.sign(text, { secret: official.secrets[0], id: "evt_1", at: AT });
        return (headers[official.signatureHeader] as string).replace(/^t=\d+,v1=/, "");
      };
      const others = await official.sign(body, { secret: official.secrets[0], id: "evt_1", at: AT });
      const value = header(await sign(body), await sign(`${body} `));

      expect(await post(inbox, provider, body, { ...others, [official.signatureHeader]: value })).toEqual(
        answer,
      );
      const taken = answer === PROCESSED ? 1 : 0;
      expect(storedIn(inbox)).toEqual({ events: taken, deliveries: taken, failures: 0, effects: taken });
    },
  );
});

describe("five minutes either way, in whole seconds", () => {
  const STALE: Answer = { status: 401, said: "timestamp_stale" };
  const FUTURE: Answer = { status: 401, said: "timestamp_in_future" };
  /** How much later than the signature it arrives, in milliseconds. */
  const scenarios: { later: number; answer: Answer }[] = [
    { later: 0, answer: PROCESSED },
    { later: 299_000, answer: PROCESSED },
    { later: 300_000, answer: PROCESSED },
    { later: 300_999, answer: PROCESSED },
    { later: 301_000, answer: STALE },
    { later: 86_400_000, answer: STALE },
    { later: -299_000, answer: PROCESSED },
    { later: -300_000, answer: PROCESSED },
    { later: -300_001, answer: FUTURE },
    { later: -301_000, answer: FUTURE },
    { later: -86_400_000, answer: FUTURE },
  ];
  const timed = [library("stripe"), library("standard-webhooks")];

  test.each(
    timed.flatMap((official) =>
      scenarios.map((row) => [`${official.provider}, ${row.later} ms later`, official, row] as const),
    ),
  )("%s", async (_, official, { later, answer }) => {
    await using inbox = await officialInbox(() => NOW + later);
    const body = official.body("evt_1", "thing.happened");
    const headers = await official.sign(body, { secret: official.secrets[0], id: "evt_1", at: AT });
    expect(await post(inbox, official.provider, body, headers)).toEqual(answer);
    const taken = answer === PROCESSED ? 1 : 0;
    expect(storedIn(inbox)).toEqual({ events: taken, deliveries: taken, failures: 0, effects: taken });

    // Whoever cannot sign learns nothing of our clock.
    const unsigned = await post(inbox, official.provider, `${body} `, headers);
    expect(unsigned).toEqual(MISMATCH);
  });

  test("github and razorpay sign no time: an old delivery is as good as a new one, and known by its id", async () => {
    let now = NOW;
    await using inbox = await officialInbox(() => now);
    for (const official of [library("github"), library("razorpay")]) {
      now = NOW;
      const body = official.body("evt_1", "thing.happened");
      const headers = await official.sign(body, { secret: official.secrets[0], id: "evt_1", at: AT });
      expect(await post(inbox, official.provider, body, headers)).toEqual(PROCESSED);
      now += 365 * 86_400_000;
      expect(await post(inbox, official.provider, body, headers)).toEqual({ status: 200, said: "duplicate" });
    }
    expect(storedIn(inbox).effects).toBe(2);
  });
});

describe("where an official library takes what hookonce does not, or the other way round", () => {
  interface Difference {
    name: string;
    provider: OfficialLibrary["provider"];
    library: boolean;
    hookonce: Answer;
    /** The text that is signed; what is sent may differ. */
    signed?: string;
    at?: number;
    sent?: Uint8Array;
    header?: (signature: string) => string;
    other?: Record<string, string>;
  }
  const stripeBody = library("stripe").body("evt_1", "thing.happened");
  const replaced = stripeBody.replace("Café", "Caf\uFFFD");
  const digest = (header: string): string => header.replace(/^.*v1=/, "");

  const differences: Difference[] = [
    {
      name: "stripe's library looks only whether a time is too old",
      provider: "stripe",
      at: AT + 301,
      library: true,
      hookonce: { status: 401, said: "timestamp_in_future" },
    },
    {
      name: "stripe's library reads the time like parseInt",
      provider: "stripe",
      header: (signature) => signature.replace(`t=${AT}`, `t=${AT}.5 or so`),
      library: true,
      hookonce: { status: 401, said: "timestamp_invalid" },
    },
    {
      name: "stripe's library verifies a time with a zero before it as one without",
      provider: "stripe",
      header: (signature) => signature.replace("t=", "t=0"),
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "of two times stripe's library takes the last, hookonce the first",
      provider: "stripe",
      header: (signature) => `t=${AT - 1},${signature}`,
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "of two times hookonce takes the first, stripe's library the last",
      provider: "stripe",
      header: (signature) => `${signature},t=${AT - 1}`,
      library: false,
      hookonce: PROCESSED,
    },
    {
      name: "stripe's library drops what follows a second equals sign",
      provider: "stripe",
      header: (signature) => `${signature}=junk`,
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "stripe's library verifies the text: bytes that are no UTF-8 count as U+FFFD",
      provider: "stripe",
      signed: replaced,
      sent: Buffer.from(replaced.replace("\uFFFD", "\u00e9"), "latin1"),
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "stripe's library drops a byte order mark before verifying",
      provider: "stripe",
      sent: Buffer.from(`\uFEFF${stripeBody}`),
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "a signature over an empty body: stripe's library refuses to look, hookonce says that it holds no event",
      provider: "stripe",
      signed: "",
      library: false,
      hookonce: { status: 400, said: "invalid_json" },
    },
    {
      name: "standardwebhooks reads the time like parseInt",
      provider: "standard-webhooks",
      other: { "webhook-timestamp": `${AT} UTC` },
      library: true,
      hookonce: { status: 401, said: "timestamp_invalid" },
    },
    {
      name: "standardwebhooks drops what follows a second comma",
      provider: "standard-webhooks",
      header: (signature) => `${signature},junk`,
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "razorpay's library verifies the text: bytes that are no UTF-8 count as U+FFFD",
      provider: "razorpay",
      signed: '{"event":"\uFFFD"}',
      sent: Buffer.from('{"event":"\u00e9"}', "latin1"),
      library: true,
      hookonce: MISMATCH,
    },
  ];

  test.each(differences.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    await using inbox = await officialInbox();
    const official = library(row.provider);
    const signed = row.signed ?? official.body("evt_1", "thing.happened");
    // Without a text to sign the library would not sign; the digest is the same with HMAC over "t.".
    const headers =
      signed === ""
        ? { "stripe-signature": emptyBodySignature(official.secrets[0]) }
        : await official.sign(signed, { secret: official.secrets[0], id: "evt_1", at: row.at ?? AT });
    const name = official.signatureHeader;
    const changed: Record<string, string> = {
      ...headers,
      ...(row.header === undefined ? {} : { [name]: row.header(headers[name] as string) }),
      ...row.other,
    };
    const sent = row.sent ?? Buffer.from(signed);
    expect(digest(headers[name] as string)).not.toBe("");

    expect(await official.accepts(sent, changed, { secrets: official.secrets, now: NOW })).toBe(row.library);
    expect(await post(inbox, row.provider, sent, changed)).toEqual(row.hookonce);
    const taken = row.hookonce === PROCESSED ? 1 : 0;
    expect(storedIn(inbox)).toEqual({ events: taken, deliveries: taken, failures: 0, effects: taken });
  });

  function emptyBodySignature(secret: string): string {
    return `t=${AT},v1=${new Bun.CryptoHasher("sha256", secret).update(`${AT}.`).digest("hex")}`;
  }
});

test("what the signature does not cover is the preset's to say: GitHub's and Razorpay's ids", async () => {
  await using inbox = await officialInbox();
  for (const official of officialLibraries) {
    const body = official.body("evt_1", "thing.happened");
    const headers = await official.sign(body, { secret: official.secrets[0], id: "evt_1", at: AT });
    expect(await post(inbox, official.provider, body, headers)).toEqual(PROCESSED);
    const replayed = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value === "evt_1" ? "evt_2" : value]),
    );
    const answer = await post(inbox, official.provider, body, replayed);
    if (official.provider === "github" || official.provider === "razorpay") expect(answer).toEqual(PROCESSED);
    else if (official.provider === "stripe") expect(answer).toEqual({ status: 200, said: "duplicate" });
    else expect(answer).toEqual(MISMATCH);
  }
});

test("same_body = duplicate: a captured body under another id is the same event", async () => {
  const official = library("github");
  const { testInbox } = await import("../support/test-inbox.ts");
  await using inbox = await testInbox({
    config: '[sources.github]\nprovider = "github"\nsecret = "env:S"\nsame_body = "duplicate"',
    environment: { S: official.secrets[0] },
    files: {
      "migrations/0001.sql": "create table effects (event_id text) strict;",
      "handlers/github/_any.sql": "insert into effects values (:event_id);",
    },
  });
  const send = async (id: string, note: string): Promise<Answer> => {
    const body = official.body(note, "push");
    return post(inbox, "github", body, await official.sign(body, { secret: official.secrets[0], id, at: AT }));
  };
  expect(await send("one", "a")).toEqual(PROCESSED);
  expect(await send("two", "a")).toEqual({ status: 200, said: "duplicate" });
  expect(await send("two", "b")).toEqual(PROCESSED);
  expect(inbox.rows("select event_id from effects order by 1")).toEqual([
    { event_id: "one" },
    { event_id: "two" },
  ]);
});
