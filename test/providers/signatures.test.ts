import { describe, expect, test } from "bun:test";
import { fourProviders, providerCalled } from "./four-providers.ts";
import {
  AT,
  deliveryTo,
  DUPLICATE,
  inboxOfFour,
  MISMATCH,
  NOTHING,
  NOW,
  ONE,
  outcomeOf,
  post,
  PROCESSED,
  sharedInboxOfFour,
  storedIn,
  type Answer,
} from "./signed-inbox.ts";

/** Every way to change one byte: flipped, dropped, doubled. */
function* changedBodies(body: Buffer): Generator<{ what: string; body: Buffer }> {
  for (const [at, byte] of body.entries()) {
    const put = (...bytes: number[]): Buffer =>
      Buffer.concat([body.subarray(0, at), Buffer.from(bytes), body.subarray(at + 1)]);
    for (const mask of [0x01, 0x20, 0x80, 0xff])
      yield { what: `byte ${at} ^ ${mask}`, body: put(byte ^ mask) };
    yield { what: `byte ${at} dropped`, body: put() };
    yield { what: `byte ${at} doubled`, body: put(byte, byte) };
  }
}

/** The same for a header, if the result is a valid header. */
function* changedHeaders(value: string): Generator<{ what: string; value: string }> {
  for (const [at, character] of Array.from(value).entries()) {
    const put = (replacement: string): string => value.slice(0, at) + replacement + value.slice(at + 1);
    for (const mask of [0x01, 0x02, 0x10, 0x20]) {
      const code = character.charCodeAt(0) ^ mask;
      const flipped = String.fromCharCode(code);
      if (code > 0x20 && code < 0x7f) yield { what: `character ${at} as ${flipped}`, value: put(flipped) };
    }
    yield { what: `character ${at} dropped`, value: put("") };
    yield { what: `0 before character ${at}`, value: put(`0${character}`) };
  }
}

describe.each(fourProviders.map((sender) => [sender.name, sender] as const))("%s", (name, sender) => {
  const body = Buffer.from(sender.body("evt_1", "thing.happened"));
  const sign = (secret: string): Promise<Record<string, string>> =>
    sender.sign(body.toString(), { secret, id: "evt_1", at: AT });

  test("no byte of the body, the time or the signature can be changed", async () => {
    await using inbox = await inboxOfFour();
    const headers = await sign(sender.secrets[0]);
    const accepted: string[] = [];
    let tried = 0;
    const attempt = async (what: string, sent: Buffer, changed: Bun.HeadersInit): Promise<void> => {
      tried++;
      const { status, said } = await post(inbox, name, sent, changed);
      if (status !== 401) accepted.push(`${what}: ${status} ${said}`);
    };

    for (const change of changedBodies(body)) await attempt(`body, ${change.what}`, change.body, headers);
    for (const header of [sender.signatureHeader, ...sender.signedHeaders]) {
      for (const { what, value } of changedHeaders(headers[header] as string)) {
        await attempt(`${header}, ${what}`, body, { ...headers, [header]: value });
      }
    }
    for (const header of sender.signedHeaders) {
      const { [header]: value = "", ...without } = headers;
      await attempt(`${header} missing`, body, without);
      await attempt(`${header} empty`, body, { ...without, [header]: "" });
      const twice = new Headers(headers);
      twice.append(header, value);
      await attempt(`${header} twice`, body, twice);
    }
    expect(accepted).toEqual([]);
    expect(tried).toBeGreaterThan(500);
    expect(storedIn(inbox)).toEqual(NOTHING);

    // The unchanged delivery is valid, and so is the same event signed with the other secret.
    expect(await post(inbox, name, body, headers)).toEqual(PROCESSED);
    expect(await post(inbox, name, body, await sign(sender.secrets[1]))).toEqual(DUPLICATE);
    expect(storedIn(inbox)).toEqual(ONE);
    const stored = inbox.value("select bytes from hookonce_bodies") as Uint8Array;
    expect(Buffer.from(stored).equals(body)).toBe(true);
  });

  test("says that the signature is missing if its header is missing or empty", async () => {
    await using inbox = await inboxOfFour();
    const { [sender.signatureHeader]: _, ...without } = await sign(sender.secrets[0]);
    const missing: Answer = { status: 401, said: "signature_missing" };
    expect(await post(inbox, name, body, without)).toEqual(missing);
    expect(await post(inbox, name, body, { ...without, [sender.signatureHeader]: "" })).toEqual(missing);
    expect(storedIn(inbox)).toEqual(NOTHING);
  });
});

const shared = sharedInboxOfFour();

describe("a signature is valid for five minutes before and after its time, in whole seconds", () => {
  const STALE: Answer = { status: 401, said: "timestamp_stale" };
  const FUTURE: Answer = { status: 401, said: "timestamp_in_future" };
  /** `later`: how much later than it was signed the delivery arrives, in milliseconds. */
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
  const timed = [providerCalled("stripe"), providerCalled("standard-webhooks")];

  test.each(
    timed.flatMap((sender) =>
      scenarios.map((row) => [`${sender.name}, ${row.later} ms later`, sender, row] as const),
    ),
  )("%s", async (_, sender, { later, answer }) => {
    shared.now = NOW + later;
    const id = shared.newId();
    const body = sender.body(id, "thing.happened");
    const headers = await sender.sign(body, { secret: sender.secrets[0], id, at: AT });
    expect(await deliveryTo(shared.inbox, sender.name, body, headers)).toEqual(outcomeOf(answer));

    // The signature is compared first, so that someone who cannot sign learns nothing about this machine's
    // clock.
    expect(await post(shared.inbox, sender.name, `${body} `, headers)).toEqual(MISMATCH);
    shared.now = NOW;
  });

  test("github and razorpay sign no time, so a delivery a year later is a duplicate", async () => {
    for (const sender of [providerCalled("github"), providerCalled("razorpay")]) {
      const id = shared.newId();
      const body = sender.body(id, "thing.happened");
      const headers = await sender.sign(body, { secret: sender.secrets[0], id, at: AT });
      expect(await post(shared.inbox, sender.name, body, headers)).toEqual(PROCESSED);
      shared.now = NOW + 365 * 86_400_000;
      expect(await deliveryTo(shared.inbox, sender.name, body, headers)).toEqual({
        answer: DUPLICATE,
        added: NOTHING,
      });
      shared.now = NOW;
    }
  });
});

test("an id that the signature does not cover can be changed: github's and razorpay's", async () => {
  await using inbox = await inboxOfFour();
  for (const sender of fourProviders) {
    const body = sender.body("evt_1", "thing.happened");
    const headers = await sender.sign(body, { secret: sender.secrets[0], id: "evt_1", at: AT });
    expect(await post(inbox, sender.name, body, headers)).toEqual(PROCESSED);
    const replayed = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value === "evt_1" ? "evt_2" : value]),
    );
    const answer = await post(inbox, sender.name, body, replayed);
    if (sender.name === "github" || sender.name === "razorpay") expect(answer).toEqual(PROCESSED);
    else if (sender.name === "stripe") expect(answer).toEqual(DUPLICATE);
    else expect(answer).toEqual(MISMATCH);
  }
});
