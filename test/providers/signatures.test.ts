import { describe, expect, test } from "bun:test";
import { testInbox } from "../support/test-inbox.ts";
import { libraryOf, officialLibraries } from "./official.ts";
import {
  AT,
  MISMATCH,
  NOTHING,
  officialInbox,
  post,
  PROCESSED,
  storedIn,
  type Answer,
} from "./signed-inbox.ts";

const MISSING: Answer = { status: 401, said: "signature_missing" };

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
        Buffer.from(inbox.value("select bytes from hookonce_bodies") as Uint8Array).equals(Buffer.from(body)),
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
        expect(
          (await post(inbox, provider, body, { ...headers, [header]: `${headers[header]}0` })).status,
        ).toBe(401);
        const twice = new Headers(headers);
        twice.append(header, headers[header] as string);
        expect((await post(inbox, provider, body, twice)).status).toBe(401);
      }
      expect(storedIn(inbox)).toEqual(NOTHING);
    });
  },
);

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
  const official = libraryOf("github");
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
    return post(
      inbox,
      "github",
      body,
      await official.sign(body, { secret: official.secrets[0], id, at: AT }),
    );
  };
  expect(await send("one", "a")).toEqual(PROCESSED);
  expect(await send("two", "a")).toEqual({ status: 200, said: "duplicate" });
  expect(await send("two", "b")).toEqual(PROCESSED);
  expect(inbox.rows("select event_id from effects order by 1")).toEqual([
    { event_id: "one" },
    { event_id: "two" },
  ]);
});
