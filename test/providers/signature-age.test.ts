import { describe, expect, test } from "bun:test";
import { libraryOf } from "./official.ts";
import {
  AT,
  deliveryTo,
  MISMATCH,
  NOTHING,
  NOW,
  post,
  PROCESSED,
  sharedOfficialInbox,
  verdict,
  type Answer,
} from "./signed-inbox.ts";

const shared = sharedOfficialInbox();

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
  const timed = [libraryOf("stripe"), libraryOf("standard-webhooks")];

  test.each(
    timed.flatMap((official) =>
      scenarios.map((row) => [`${official.provider}, ${row.later} ms later`, official, row] as const),
    ),
  )("%s", async (_, official, { later, answer }) => {
    shared.now = NOW + later;
    const id = shared.newId();
    const body = official.body(id, "thing.happened");
    const headers = await official.sign(body, { secret: official.secrets[0], id, at: AT });
    expect(await deliveryTo(shared.inbox, official.provider, body, headers)).toEqual(verdict(answer));

    // Whoever cannot sign learns nothing of our clock.
    expect(await post(shared.inbox, official.provider, `${body} `, headers)).toEqual(MISMATCH);
    shared.now = NOW;
  });

  test("github and razorpay sign no time: an old delivery is as good as a new one, and known by its id", async () => {
    for (const official of [libraryOf("github"), libraryOf("razorpay")]) {
      const id = shared.newId();
      const body = official.body(id, "thing.happened");
      const headers = await official.sign(body, { secret: official.secrets[0], id, at: AT });
      expect(await post(shared.inbox, official.provider, body, headers)).toEqual(PROCESSED);
      shared.now = NOW + 365 * 86_400_000;
      expect(await deliveryTo(shared.inbox, official.provider, body, headers)).toEqual({
        answer: { status: 200, said: "duplicate" },
        added: NOTHING,
      });
      shared.now = NOW;
    }
  });
});
