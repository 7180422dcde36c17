import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";
import { chunk, rawClient, requestHead, type RawAnswer, type RawClient } from "./support/raw-client.ts";

const MIB = 1024 * 1024;

const source = (name: string, maxBody: string): string => `
[sources.${name}]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"
max_body = ${maxBody}
`;

const options = {
  config: source("small", "1000") + source("default", "1_048_576") + source("large", '"25 MiB"'),
  files: {
    "migrations/0001.sql": effectsTable,
    "handlers/small/_any.sql": noteEffect,
    "handlers/default/_any.sql": noteEffect,
    "handlers/large/_any.sql": noteEffect,
  },
};

interface Scenario {
  name: string;
  path: string;
  bytes: number;
  status: number;
}

/** Each source has its own limit, at the byte. */
const scenarios: Scenario[] = [
  { name: "just as large as may be", path: "/webhook/small", bytes: 1000, status: 200 },
  { name: "one byte too large", path: "/webhook/small", bytes: 1001, status: 413 },
  { name: "just as large as may be", path: "/webhook", bytes: MIB, status: 200 },
  { name: "one byte too large", path: "/webhook", bytes: MIB + 1, status: 413 },
  { name: "what is too large elsewhere", path: "/webhook/large", bytes: 2 * MIB, status: 200 },
  { name: "larger than any source takes", path: "/webhook/large", bytes: 26 * MIB, status: 413 },
];

/** In pieces of 64 KiB, until it is all sent or the server has had enough. */
async function sendBytes(client: RawClient, bytes: number, asChunks: boolean): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, "x");
  for (let sent = 0; sent < bytes && !client.answered; sent += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes - sent));
    if (!(await client.send(asChunks ? chunk(part) : part))) return;
  }
  if (asChunks && !client.answered) await client.send(chunk(""));
}

async function deliver(
  inbox: TestInbox,
  { path, bytes }: Scenario,
  asChunks: boolean,
): Promise<RawAnswer | null> {
  using client = await rawClient(inbox.listen().url);
  const length = asChunks ? { "transfer-encoding": "chunked" } : { "content-length": bytes };
  await client.send(requestHead(path, { "x-id": "evt_1", "x-type": "blob", ...length }));
  await sendBytes(client, bytes, asChunks);
  return await client.answer;
}

describe("the largest body that a source takes", () => {
  for (const asChunks of [false, true]) {
    for (const scenario of scenarios) {
      const { name, path, bytes, status } = scenario;
      test(`${path}, ${asChunks ? "chunked" : "its length declared"}: ${name} (${bytes} bytes)`, async () => {
        await using inbox = await testInbox(options);
        const answer = await deliver(inbox, scenario, asChunks);
        expect(answer?.status).toBe(status);
        const body = JSON.parse(answer?.body ?? "");
        if (status === 200) {
          expect(body).toMatchObject({ status: "processed", event_id: "evt_1" });
          expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
          expect(inbox.value("select length(body) from hookonce_deliveries")).toBe(bytes);
        } else {
          expect(body).toMatchObject({ error: { code: "body_too_large" } });
          expect(left(inbox)).toEqual(nothing);
          expect(inbox.log.filter(({ msg }) => msg === "delivery")).toEqual([
            expect.objectContaining({ outcome: "rejected", code: "body_too_large" }),
          ]);
        }
      });
    }
  }

  test("a length that is declared too large is answered before any of the body has come", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": 2 * MIB }));
    expect(await client.answer).toMatchObject({ status: 413 });
    expect(left(inbox)).toEqual(nothing);
  });

  test("a length that no source could ever take is refused with a body and a line in the log, too", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": 10_000 * MIB }));
    const answer = await client.answer;
    expect(answer?.status).toBe(413);
    expect(JSON.parse(answer?.body || "null")).toMatchObject({ error: { code: "body_too_large" } });
    expect(inbox.log).toContainEqual(
      expect.objectContaining({ outcome: "rejected", code: "body_too_large" }) as never,
    );
    expect(left(inbox)).toEqual(nothing);
  });

  for (const asChunks of [false, true]) {
    test(`60 MB to a source of 1 MiB, ${asChunks ? "chunked" : "declared"}, ten times: memory stays bounded`, async () => {
      await using inbox = await testInbox(options);
      const scenario = { name: "", path: "/webhook", bytes: 60_000_000, status: 413 };
      await deliver(inbox, scenario, asChunks); // warms up
      Bun.gc(true);
      const before = process.memoryUsage.rss();
      let peak = before;
      const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 2);
      const answers = await Promise.all(Array.from({ length: 10 }, () => deliver(inbox, scenario, asChunks)));
      clearInterval(watch);
      for (const answer of answers) expect(answer?.status).toBe(413);
      // 600 MB were on offer; each source's share of them is 1 MiB and what the system had in its buffers.
      expect((peak - before) / MIB).toBeLessThan(80);
      expect(left(inbox)).toEqual(nothing);
      expect((await inbox.deliver("{}", { headers: { "x-id": "evt_1" } })).status).toBe(200);
    });
  }
});

/** Sends on whatever it is answered, as a client does that does not listen. */
test("a client that sends 60 MB although it was refused is not taken up", async () => {
  await using inbox = await testInbox(options);
  const { url } = inbox.listen();
  using client = await rawClient(url);
  const before = process.memoryUsage.rss();
  await client.send(requestHead("/webhook", { "content-length": 60_000_000 }));
  const piece = Buffer.alloc(64 * 1024, "x");
  const until = performance.now() + 1500;
  for (let sent = 0; sent < 60_000_000 && performance.now() < until; sent += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, 60_000_000 - sent));
    if (!(await Promise.race([client.send(part), Bun.sleep(500)]))) break;
  }
  expect(await client.answer).toMatchObject({ status: 413 });
  expect((process.memoryUsage.rss() - before) / MIB).toBeLessThan(40);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(left(inbox)).toEqual(nothing);
});
