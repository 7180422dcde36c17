import { describe, expect, test } from "bun:test";
import { randomKeys } from "../../src/providers/verifier.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { whyNotSignedAgain } from "../../src/providers/sign-again.ts";
import { isAccepted, libraries } from "./libraries/libraries.ts";
import type { Arrival } from "./libraries/library.ts";
import { receivedBy, sendingFor, sendOn, TWO_DAYS_LATER } from "./sent-on.ts";
import { NOW } from "./signed-inbox.ts";

/** Their presets cannot be signed again (sign-again.test.ts). */
const NEVER = ["aws-sns", "discord", "linear", "sendgrid"];

const rows = Object.entries(libraries).map(([name, library]) => {
  const { settings, signer } = sendingFor(library.preset ?? name);
  const keys = { ...signer.keys, ...(library.secret === undefined ? {} : { secret: library.secret }) };
  return { name, library, signer, keys, settings: { ...settings, secrets: [keys.secret] } };
});

test("each library is of a preset that can be signed again, or one of these", () => {
  const never = rows.filter(({ settings }) => whyNotSignedAgain(settings) !== undefined);
  expect(never.map(({ name }) => name).sort()).toEqual(NEVER);
});

function arrivalOf({ url, headers, body }: OutgoingRequest): Arrival {
  return { url, headers, body: Buffer.from(body).toString(), laterMs: 0 };
}

describe.each(rows.filter(({ name }) => !NEVER.includes(name)))("$name", (row) => {
  const { name, library, signer, keys, settings } = row;
  const old = randomKeys(signer.provider.scheme).secret;

  const sentOn = async (secrets: readonly string[]): Promise<Arrival> => {
    const made = await signer.request(1, 1, NOW, keys);
    const delivery = { ...made, headers: { ...made.headers, ...library.headers } };
    const [message] = await receivedBy(settings, delivery, NOW, signer.fetch);
    if (message === undefined) throw new Error("no event was received");
    return arrivalOf(await sendOn({ ...settings, secrets }, message));
  };
  const accepts = (arrival: Arrival, secret: string): Promise<boolean> =>
    isAccepted(library, arrival, [secret], TWO_DAYS_LATER, signer.fetch);

  test("the library accepts an event that is sent on two days later", async () => {
    const arrival = await sentOn([keys.secret]);
    expect(await accepts(arrival, keys.secret)).toBe(true);
    expect(await accepts(arrival, old)).toBe(false);
  });

  test("while the secret is replaced, the library accepts it with the new one", async () => {
    const arrival = await sentOn([keys.secret, old]);
    expect(await accepts(arrival, keys.secret)).toBe(true);
    expect(await accepts(arrival, old)).toBe(SEVERAL.has(name));
  });
});

/** Their libraries accept several signatures, so an endpoint may have either secret. */
const SEVERAL: ReadonlySet<string> = new Set([
  "braintree",
  "clerk",
  "mollie",
  "openai",
  "polar",
  "polar, with a secret made before September 2026",
  "replicate",
  "resend",
  "standard-webhooks",
  "stripe",
  "supabase",
  "svix",
]);
