import { describe, expect, test } from "bun:test";
import { libraryOf, type OfficialLibrary } from "./official.ts";
import {
  AT,
  deliveryTo,
  MISMATCH,
  NOW,
  PROCESSED,
  sharedOfficialInbox,
  verdict,
  type Answer,
} from "./signed-inbox.ts";

const shared = sharedOfficialInbox();

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
  const stripeBody = libraryOf("stripe").body("evt_marked", "thing.happened");
  const replaced = '{"id":"evt_replaced","type":"caf\uFFFD"}';

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
      signed: stripeBody,
      sent: Buffer.from(`\uFEFF${stripeBody}`),
      library: true,
      hookonce: MISMATCH,
    },
    {
      name: "octokit's library does not look at an empty body; to hookonce it is a body like any other",
      provider: "github",
      signed: "",
      library: false,
      hookonce: PROCESSED,
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
    const official = libraryOf(row.provider);
    const signing = { secret: official.secrets[0], id: shared.newId(), at: row.at ?? AT };
    const signed = row.signed ?? official.body(signing.id, "thing.happened");
    const headers = await official.sign(signed || "{}", signing);
    if (signed === "") headers["x-hub-signature-256"] = signatureOfNothing(signing.secret);
    const name = official.signatureHeader;
    if (row.header !== undefined) headers[name] = row.header(headers[name] as string);
    Object.assign(headers, row.other);
    const sent = row.sent ?? Buffer.from(signed);

    expect(await official.accepts(sent, headers, { secrets: official.secrets, now: NOW })).toBe(row.library);
    expect(await deliveryTo(shared.inbox, row.provider, sent, headers)).toEqual(verdict(row.hookonce));
  });
});

/** The libraries would not sign it. */
function signatureOfNothing(secret: string): string {
  return `sha256=${new Bun.CryptoHasher("sha256", secret).digest("hex")}`;
}
