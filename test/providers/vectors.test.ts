import { expect, test } from "bun:test";
import type { Headers } from "../../src/event.ts";
import vectorsFile from "../fixtures/signature-vectors.json";
import { officialLibraries } from "./official.ts";
import { NOTHING, post, recordingInbox, storedIn } from "./signed-inbox.ts";

interface Vector {
  provider: string;
  description: string;
  secrets: string[];
  headers: Record<string, string>;
  body: string;
  now_unix: number;
  expect: "valid" | "invalid";
  event_id: string | null;
  event_type: string | null;
}

const vectors = vectorsFile.vectors as unknown as Vector[];

test("every provider that has an official library has vectors, good and bad", () => {
  for (const { provider } of officialLibraries) {
    const verdicts = vectors.filter((vector) => vector.provider === provider).map((vector) => vector.expect);
    expect(verdicts).toContain("valid");
    expect(verdicts).toContain("invalid");
  }
});

test.each(vectors.map((vector) => [`${vector.provider}: ${vector.description}`, vector] as const))(
  "%s",
  async (_, vector) => {
    const { provider, secrets, body, now_unix: nowUnix, expect: verdict } = vector;
    const headers: Headers = {
      // The library's own vector has no header for the id: without one it is a 400, and not about the signature.
      ...(vector.event_id === null ? { "x-razorpay-event-id": "evt_vector" } : {}),
      ...vector.headers,
    };
    const names = secrets.map((_, index) => `SECRET_${index}`);
    await using inbox = await recordingInbox({
      config: `[sources.it]\nprovider = "${provider}"\nsecret = [${names.map((name) => `"env:${name}"`).join(", ")}]`,
      sources: ["it"],
      environment: Object.fromEntries(secrets.map((secret, index) => [`SECRET_${index}`, secret])),
      clock: () => nowUnix * 1000,
    });
    const library = officialLibraries.find((one) => one.provider === provider);
    expect(await library?.accepts(Buffer.from(body), headers, { secrets, now: nowUnix * 1000 })).toBe(
      verdict === "valid",
    );

    const answer = await post(inbox, "it", body, headers);
    if (verdict === "invalid") {
      expect(answer.status).toBe(401);
      expect(storedIn(inbox)).toEqual(NOTHING);
    } else {
      expect(answer).toEqual({ status: 200, said: "processed" });
      expect(inbox.rows("select event_id, type from hookonce_events")).toEqual([
        { event_id: vector.event_id ?? "evt_vector", type: vector.event_type ?? "" },
      ]);
      expect(Buffer.from(inbox.value("select bytes from hookonce_bodies") as Uint8Array).toString()).toBe(
        body,
      );
    }
  },
);
