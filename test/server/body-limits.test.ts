import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { peakMemory, residentMemory } from "../bench/process-stats.ts";
import { scratch, serve } from "../cli/support/hookonce.ts";
import { testInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";
import { chunk, rawClient, requestHead, type RawAnswer, type RawClient } from "./support/raw-client.ts";

const MIB = 1024 * 1024;

const source = (name: string, maxBody: string): string => `
[sources.${name}]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"
max_body = "${maxBody}"
`;

const options = {
  config: source("small", "1 KiB") + source("default", "1 MiB") + source("large", "25 MiB"),
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

/** Each source has its own limit, exact to the byte. */
const scenarios: Scenario[] = [
  { name: "a body of exactly the limit", path: "/webhook/small", bytes: 1024, status: 200 },
  { name: "a body one byte above the limit", path: "/webhook/small", bytes: 1025, status: 413 },
  { name: "a body of exactly the limit", path: "/webhook", bytes: MIB, status: 200 },
  { name: "a body one byte above the limit", path: "/webhook", bytes: MIB + 1, status: 413 },
  { name: "a body above the limit of another source", path: "/webhook/large", bytes: 2 * MIB, status: 200 },
  { name: "a body above the limit of every source", path: "/webhook/large", bytes: 26 * MIB, status: 413 },
];

/** Sends a body in pieces of 64 KiB until all of it is sent or the server has answered. */
async function sendBytes(client: RawClient, bytes: number, asChunks: boolean): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, "x");
  for (let sent = 0; sent < bytes && !client.answered; sent += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes - sent));
    if (!(await client.send(asChunks ? chunk(part) : part))) return;
  }
  if (asChunks && !client.answered) await client.send(chunk(""));
}

async function deliver(url: string, { path, bytes }: Scenario, asChunks: boolean): Promise<RawAnswer | null> {
  using client = await rawClient(url);
  const length = asChunks ? { "transfer-encoding": "chunked" } : { "content-length": bytes };
  await client.send(requestHead(path, { "x-id": "evt_1", "x-type": "blob", ...length }));
  await sendBytes(client, bytes, asChunks);
  return await client.answer;
}

/** Serves in a new process: the memory of this one depends on the tests that ran in it before. */
async function serveInChild() {
  const folder = scratch({ "hookonce.toml": `version = 1\n${options.config}`, ...options.files });
  const server = await serve(folder.path);
  return {
    pid: server.pid,
    url: server.url,
    rows(sql: string): unknown[] {
      using db = new Database(join(folder.path, "data/hookonce.db"), { strict: true });
      db.run("pragma busy_timeout = 5000");
      return db.prepare(sql).all();
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

describe("max_body", () => {
  for (const asChunks of [false, true]) {
    for (const scenario of scenarios) {
      const { name, path, bytes, status } = scenario;
      test(`${path}, ${asChunks ? "chunked" : "with Content-Length"}: ${name} (${bytes} bytes) is answered ${status}`, async () => {
        await using inbox = await testInbox(options);
        const answer = await deliver(inbox.listen().url, scenario, asChunks);
        expect(answer?.status).toBe(status);
        const body = JSON.parse(answer?.body ?? "");
        if (status === 200) {
          expect(body).toMatchObject({ status: "processed", event_id: "evt_1" });
          expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
          expect(inbox.value("select length(bytes) from hookonce_bodies")).toBe(bytes);
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

  test("answers 413 to a Content-Length above the limit before any of the body arrives", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": 2 * MIB }));
    expect(await client.answer).toMatchObject({ status: 413 });
    expect(left(inbox)).toEqual(nothing);
  });

  test("answers 413 with a body and a log line to a Content-Length of 10 GB", async () => {
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
    testUnless(
      asChunks ? onlyInFullRun() : undefined,
      `memory stays bounded while ten clients send 60 MB ${asChunks ? "in chunks" : "with Content-Length"} to a source with a limit of 1 MiB`,
      async () => {
        await using server = await serveInChild();
        const { url } = server;
        const scenario = { name: "", path: "/webhook", bytes: 60_000_000, status: 413 };
        await deliver(url, scenario, asChunks); // warms up
        const before = residentMemory(server.pid);
        const answers = await Promise.all(Array.from({ length: 10 }, () => deliver(url, scenario, asChunks)));
        for (const answer of answers) expect(answer?.status).toBe(413);
        // The clients offered 600 MB. Of each, the server keeps at most 1 MiB and what the system had buffered.
        expect((peakMemory(server.pid) - before) / MIB).toBeLessThan(80);
        expect(left(server)).toEqual(nothing);
        const headers = { "x-id": "evt_1", "x-type": "blob" };
        expect((await fetch(`${url}/webhook`, { method: "POST", headers, body: "{}" })).status).toBe(200);
      },
      60_000,
    );
  }
});

describe("a body of several MiB", () => {
  for (const asChunks of [false, true]) {
    test(`${asChunks ? "in chunks" : "with Content-Length"} is stored byte for byte`, async () => {
      await using inbox = await testInbox(options);
      const { url } = inbox.listen();
      // Around the size from which a body is read into one buffer.
      for (const bytes of [1, 255 * 1024, 256 * 1024, 256 * 1024 + 1, 300_001, 5 * MIB + 7]) {
        const sent = crypto.getRandomValues(Buffer.alloc(Math.min(bytes, 65_536)));
        const body = Buffer.concat(
          Array.from({ length: Math.ceil(bytes / sent.length) }, () => sent),
        ).subarray(0, bytes);
        using client = await rawClient(url);
        await client.send(
          requestHead("/webhook/large", {
            "x-id": `evt_${bytes}`,
            "x-type": "blob",
            ...(asChunks ? { "transfer-encoding": "chunked" } : { "content-length": bytes }),
          }),
        );
        for (let at = 0; at < bytes; at += 100_000) {
          const piece = body.subarray(at, at + 100_000);
          await client.send(asChunks ? chunk(piece) : piece);
        }
        if (asChunks) await client.send(chunk(""));
        expect(await client.answer).toMatchObject({ status: 200 });
        const stored = inbox.value(
          "select bytes from hookonce_bodies order by id desc limit 1",
        ) as Uint8Array;
        expect(Buffer.from(stored).equals(body)).toBe(true);
      }
    });
  }
});

// The client ignores the answer and continues to send.
test("memory stays bounded when a client sends 60 MB after it was refused", async () => {
  await using server = await serveInChild();
  const { url } = server;
  using client = await rawClient(url);
  const before = residentMemory(server.pid);
  await client.send(requestHead("/webhook", { "content-length": 60_000_000 }));
  const piece = Buffer.alloc(64 * 1024, "x");
  const until = performance.now() + 1500;
  for (let sent = 0; sent < 60_000_000 && performance.now() < until; sent += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, 60_000_000 - sent));
    if (!(await Promise.race([client.send(part), Bun.sleep(500)]))) break;
  }
  expect(await client.answer).toMatchObject({ status: 413 });
  expect((peakMemory(server.pid) - before) / MIB).toBeLessThan(40);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(left(server)).toEqual(nothing);
});
