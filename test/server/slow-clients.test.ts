import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";
import { chunk, rawClient, requestHead, type RawAnswer, type RawClient } from "./support/raw-client.ts";
import { onlyInFullRun, testInFullRun, testUnless } from "../crash/requirements.ts";

const MIB = 1024 * 1024;

const options = {
  config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
max_body = "40 MiB"
`,
  files: { "migrations/0001.sql": effectsTable, "handlers/default/_any.sql": noteEffect },
};

const body = JSON.stringify({ event_id: "evt_1", type: "paid", note: 1 });
const whole = requestHead("/webhook", { "content-length": body.length }) + body;

const statusOf = (answer: RawAnswer | null): string | undefined =>
  (JSON.parse(answer?.body ?? "{}") as { status?: string }).status;

/** Resolves once the server has read what clients sent before. It reads from all connections in each turn. */
async function received(url: string): Promise<void> {
  for (let n = 0; n < 3; n++) expect((await fetch(`${url}/healthz`)).status).toBe(200);
}

/** Resolves once a log line has this code. */
async function logged(inbox: TestInbox, code: string): Promise<void> {
  const until = performance.now() + 20_000;
  while (!inbox.log.some((line) => line["code"] === code)) {
    if (performance.now() > until) throw new Error(`no log line has the code ${code}`);
    await Bun.sleep(5);
  }
}

/** Resolves once an event is stored. */
async function stored(inbox: TestInbox): Promise<void> {
  const until = performance.now() + 20_000;
  while (left(inbox).events === 0) {
    if (performance.now() > until) throw new Error("no event is stored");
    await Bun.sleep(5);
  }
}

describe("a slow body", () => {
  testInFullRun("is processed if it arrives a byte at a time within the time limit", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": body.length }));
    const started = performance.now();
    for (const byte of body) {
      await client.send(byte);
      await Bun.sleep(10);
    }
    expect(statusOf(await client.answer)).toBe("processed");
    expect(performance.now() - started).toBeGreaterThan(400);
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  test("is processed if it arrives in chunks of one byte", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "transfer-encoding": "chunked" }));
    for (const byte of body) {
      await client.send(chunk(byte));
      await Bun.sleep(2);
    }
    await client.send(chunk(""));
    expect(statusOf(await client.answer)).toBe("processed");
    const stored = inbox.value("select bytes from hookonce_bodies") as Uint8Array;
    expect(new TextDecoder().decode(stored)).toBe(body);
  });

  test("is processed if the headers arrive a byte at a time, too", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    for (const byte of whole) {
      await client.send(byte);
      await Bun.sleep(1);
    }
    expect(statusOf(await client.answer)).toBe("processed");
  });

  test("does not delay other deliveries", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const stalled: RawClient[] = [];
    for (let n = 0; n < 50; n++) {
      const client = await rawClient(url);
      await client.send(whole.slice(0, -5));
      stalled.push(client);
    }
    const response = await fetch(`${url}/webhook`, { method: "POST", body });
    expect(((await response.json()) as { status: string }).status).toBe("processed");
    expect(stalled.filter(({ answered }) => answered)).toEqual([]);
    for (const client of stalled) await client.send(whole.slice(-5));
    for (const client of stalled) expect(statusOf(await client.answer)).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    for (const client of stalled) client.hangUp();
  });
});

describe("a client that disconnects", () => {
  for (const [name, head, sent] of [
    [
      "in the middle of a body",
      requestHead("/webhook", { "content-length": body.length }),
      body.slice(0, -1),
    ],
    [
      "in the middle of a chunk",
      requestHead("/webhook", { "transfer-encoding": "chunked" }),
      chunk(body).subarray(0, -5),
    ],
    ["before the last chunk", requestHead("/webhook", { "transfer-encoding": "chunked" }), chunk(body)],
  ] as const) {
    for (const leave of ["hangUp", "halfClose"] as const) {
      test(`${name} (${leave === "hangUp" ? "closes" : "half-closes"}) leaves nothing behind`, async () => {
        await using inbox = await testInbox(options);
        const { url } = inbox.listen();
        using client = await rawClient(url);
        await client.send(head);
        await client.send(sent);
        await received(url);
        client[leave]();
        await logged(inbox, "incomplete_body");
        expect([null, 400]).toContain((await client.answer)?.status ?? null);
        expect(left(inbox)).toEqual(nothing);
        expect((await inbox.deliver(body)).body.status).toBe("processed");
      });
    }
  }

  test("before its headers are complete leaves nothing behind, not even a log line", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    using client = await rawClient(url);
    await client.send("POST /webhook HTTP/1.1\r\nhost: local");
    await received(url);
    client.hangUp();
    await client.closed;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(left(inbox)).toEqual(nothing);
    expect(inbox.log.filter(({ msg }) => msg === "delivery")).toEqual([]);
  });

  test("after a complete delivery does not undo it: the retry is a duplicate", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    {
      using client = await rawClient(url);
      await client.send(whole);
    }
    await stored(inbox);
    expect((await inbox.deliver(body)).body.status).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  // Bun closes the connection of a client that does not wait for its answer.
  test("before its answer, because it sent a second delivery, does not undo the first", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(whole + whole.replace("evt_1", "evt_2"));
    await client.closed;
    await stored(inbox);
    expect((await inbox.deliver(body)).body.status).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  // Bun 1.4.5 closes a connection when its client has ended it in one direction, unless the answer is written in the
  // same turn of the event loop. So the client may get no answer, and its retry must be a duplicate.
  test("in one direction after a complete delivery does not undo it: the retry is a duplicate", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(whole);
    client.halfClose();
    const answer = await client.answer;
    if (answer !== null) expect([answer.status, statusOf(answer)]).toEqual([200, "processed"]);
    await stored(inbox);
    expect((await inbox.deliver(body)).body.status).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });
});

const declare = (bytes: number): string => requestHead("/webhook", { "content-length": bytes });

/**
 * Part of a body. Sent in one piece, a large body would be copied again each time the system accepts only a
 * part of it.
 */
const PIECE = Buffer.alloc(256 * 1024, "x");

/** The clients send a body with Content-Length each, except for its last bytes. They send in turn. */
async function sendNearlyAll(clients: readonly RawClient[], bytes: number, kept = 1): Promise<void> {
  for (const client of clients) await client.send(declare(bytes));
  for (let rest = bytes - kept; rest > 0; rest -= PIECE.length)
    for (const client of clients) await client.send(PIECE.subarray(0, rest));
}

/** What bodies that are still arriving may take: 64 MiB less the reserve of 3 MiB. */
const ARRIVING = 61 * MIB;

/**
 * Sends two bodies except for their last bytes. Each takes 16 KiB beside that, so there is no room for a
 * third that arrives slowly.
 */
async function fill(url: string, { free = 16_500, rest = 2, probe = body } = {}): Promise<RawClient[]> {
  const clients = [await rawClient(url), await rawClient(url)];
  await sendNearlyAll(clients, ARRIVING / 2 - free + rest - 2, rest);
  // Until the server has read all of it. The probe is not JSON, so it leaves nothing behind if it still fits.
  while ((await sendInPieces(url, `{${probe}`))?.status !== 503);
  return clients;
}

/** The server reads the first piece before the second is sent. */
async function sendInPieces(url: string, text: string): Promise<RawAnswer | null> {
  using client = await rawClient(url);
  await client.send(declare(text.length) + text.slice(0, -5));
  await received(url);
  await client.send(text.slice(-5));
  return await client.answer;
}

const deliverInPieces = (url: string): Promise<RawAnswer | null> => sendInPieces(url, body);

async function deliverWhole(url: string, payload: unknown = { event_id: "evt_1" }): Promise<number> {
  const response = await fetch(`${url}/webhook`, { method: "POST", body: JSON.stringify(payload) });
  await response.text();
  return response.status;
}

/** Only one of them gives its memory back. */
async function oneIsDropped(clients: readonly RawClient[]): Promise<void> {
  expect(await Promise.race(clients.map(({ answer }) => answer))).toMatchObject({ status: 503 });
  expect(clients.filter(({ answered }) => answered)).toHaveLength(1);
  for (const client of clients) client.hangUp();
}

/** Sends this to each client again and again, until it ends. */
async function dripping(
  clients: readonly RawClient[],
  bytes: number,
  work: () => Promise<void>,
): Promise<void> {
  const timer = setInterval(() => {
    for (const client of clients) void client.send(Buffer.alloc(bytes)).catch(() => {});
  }, 200);
  await work().finally(() => clearInterval(timer));
}

describe("bodies in memory are at most 64 MiB", () => {
  test("a body that arrives slowly and does not fit is answered 503 with Retry-After, and nothing is recorded", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const clients = await fill(url);
    for (const sent of [
      whole.slice(0, -5),
      Buffer.concat([
        Buffer.from(requestHead("/webhook", { "transfer-encoding": "chunked" })),
        chunk(body.slice(0, 5)),
      ]),
    ]) {
      using client = await rawClient(url);
      await client.send(sent);
      const answer = await client.answer;
      expect(answer?.status).toBe(503);
      expect(Number(answer?.headers["retry-after"])).toBeGreaterThan(0);
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({ error: { code: "overloaded" } });
    }
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(left(inbox)).toEqual(nothing);
    for (const client of clients) client.hangUp();
  });

  test("a body that arrives at once still fits, because some room is reserved for such bodies", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const clients = await fill(url);
    for (let n = 0; n < 100; n++) expect(await deliverWhole(url, { event_id: `evt_${n}` })).toBe(200);
    expect(left(inbox).events).toBe(100);
    for (const client of clients) client.hangUp();
  });

  testUnless(
    onlyInFullRun(),
    "a body that has paused for a second makes room for others",
    async () => {
      await using inbox = await testInbox(options);
      const { url } = inbox.listen();
      const clients = await fill(url);
      for (const client of clients) {
        await client.send("x");
        await received(url);
      }
      expect(await deliverInPieces(url)).toMatchObject({ status: 503 });
      await Bun.sleep(1000);
      expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
      await oneIsDropped(clients);
      expect(left(inbox).events).toBe(1);
    },
    20_000,
  );

  testInFullRun("a body that gets only a byte from time to time makes room for others", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const clients = await fill(url, { rest: 1000 });
    await dripping(clients, 1, async () => {
      await Bun.sleep(1100);
      expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
    });
    await oneIsDropped(clients);
    expect(left(inbox).events).toBe(1);
  });

  testUnless(
    onlyInFullRun(),
    "a body that has been arriving for five seconds makes room for others, however it progresses",
    async () => {
      await using inbox = await testInbox(options);
      const { url } = inbox.listen();
      const large = JSON.stringify({ event_id: "evt_1", pad: "x".repeat(MIB) });
      const clients = await fill(url, { free: 300 * 1024, rest: MIB, probe: large });
      await dripping(clients, 2048, async () => {
        await Bun.sleep(1500);
        expect(await sendInPieces(url, large)).toMatchObject({ status: 503 });
        await Bun.sleep(4000);
        expect(await sendInPieces(url, large)).toMatchObject({ status: 200 });
      });
      await oneIsDropped(clients);
      expect(left(inbox).events).toBe(1);
    },
    20_000,
  );

  test("a Content-Length alone reserves no memory: clients that send nothing do not block others", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    const clients = await Promise.all(Array.from({ length: 5 }, () => rawClient(url)));
    for (const client of clients) await client.send(declare(25 * MIB));
    await received(url);
    expect((await fetch(`${url}/webhook`, { method: "POST", body })).status).toBe(200);
    expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
    for (const client of clients) client.hangUp();
  });

  for (const [name, sent] of [
    ["nothing", 0],
    ["one byte", 1],
    ["all but one byte", 64 * 1024 - 1],
  ] as const) {
    testUnless(
      onlyInFullRun(),
      `1,000 connections that declare 64 KiB and send ${name} do not block others`,
      async () => {
        await using inbox = await testInbox(options);
        const { url } = inbox.listen();
        const idle: RawClient[] = [];
        const piece = Buffer.alloc(sent, "x");
        for (let n = 0; n < 1000; n++) {
          const client = await rawClient(url);
          idle.push(client);
          await client.send(declare(64 * 1024));
          if (sent > 0) await client.send(piece);
          if (n % 100 === 0) expect(await deliverWhole(url, { event_id: `evt_${n}` })).toBe(200);
        }
        for (let n = 0; n < 20; n++) expect(await deliverWhole(url, { event_id: `evt_${n}` })).toBe(200);
        await Bun.sleep(1000);
        const padding = "x".repeat(MIB);
        for (let n = 0; n < 5; n++) {
          expect(await deliverWhole(url, { event_id: `large_${n}`, padding })).toBe(200);
          expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
        }
        for (const client of idle) client.hangUp();
      },
      30_000,
    );
  }

  testUnless(
    onlyInFullRun(),
    "a client that disconnects gives its memory back",
    async () => {
      await using inbox = await testInbox(options);
      const { url } = inbox.listen();
      for (let round = 0; round < 5; round++) {
        // It ends when a delivery was refused. A second later these bodies make room for others, hung up or not.
        const clients = await fill(url);
        const refused = inbox.log.filter((line) => line["code"] === "incomplete_body").length;
        for (const client of clients) client.hangUp();
        const until = performance.now() + 20_000;
        while (
          inbox.log.filter((line) => line["code"] === "incomplete_body").length < refused + 2 &&
          performance.now() < until
        )
          await Bun.sleep(5);
        expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
      }
      expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    },
    30_000,
  );

  test("a chunked body takes memory as it arrives, and gives it back if it does not fit", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    using first = await rawClient(url);
    await sendNearlyAll([first], 40 * MIB, 2 * MIB);
    using second = await rawClient(url);
    await second.send(requestHead("/webhook", { "transfer-encoding": "chunked" }));
    for (let sent = 0; sent < 30 * MIB && !second.answered; sent += PIECE.length) {
      if (!(await second.send(chunk(PIECE)))) break;
      // A body that does not progress for a second would make room.
      await first.send(Buffer.alloc(2048));
    }
    expect(await second.answer).toMatchObject({ status: 503 });
    expect(await deliverInPieces(url)).toMatchObject({ status: 200 });
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });
});

describe("a body", () => {
  const limits = { ...options, bodies: { pauseMs: 400, wholeMs: 30_000 } };

  for (const [name, pieces] of [
    ["that stops arriving", [whole.slice(0, -5)]],
    ["that never begins", [declare(body.length)]],
    [
      "in chunks that stops arriving",
      [requestHead("/webhook", { "transfer-encoding": "chunked" }), chunk(body)],
    ],
    ["of 5 MiB that stops arriving", [declare(5 * MIB), PIECE, PIECE, PIECE]],
  ] as const) {
    testInFullRun(`${name} is refused after the longest pause, and its connection is closed`, async () => {
      await using inbox = await testInbox(limits);
      using client = await rawClient(inbox.listen().url);
      const started = performance.now();
      for (const piece of pieces) await client.send(piece);
      const answer = await client.answer;
      expect(answer).toMatchObject({ status: 408, headers: { connection: "close" } });
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({ error: { code: "body_timeout" } });
      expect(performance.now() - started).toBeGreaterThan(390);
      await client.closed;
      expect(left(inbox)).toEqual(nothing);
      await logged(inbox, "body_timeout");
    });
  }

  testUnless(
    onlyInFullRun(),
    "that pauses again and again is processed if it is complete in time",
    async () => {
      await using inbox = await testInbox({ ...options, bodies: { pauseMs: 1500, wholeMs: 30_000 } });
      using client = await rawClient(inbox.listen().url);
      await client.send(whole.slice(0, -4));
      // In all, it pauses longer than one pause may be.
      for (const byte of whole.slice(-4)) {
        await Bun.sleep(400);
        await client.send(byte);
      }
      expect(statusOf(await client.answer)).toBe("processed");
    },
    20_000,
  );

  testInFullRun("that never pauses for long is refused if it takes too long in all", async () => {
    await using inbox = await testInbox({ ...options, bodies: { pauseMs: 10_000, wholeMs: 1200 } });
    using client = await rawClient(inbox.listen().url);
    const started = performance.now();
    await client.send(declare(1000));
    while (!client.answered && performance.now() - started < 20_000) {
      await client.send("x");
      await Bun.sleep(50);
    }
    const answer = await client.answer;
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ error: { code: "body_timeout" } });
    expect(performance.now() - started).toBeGreaterThan(1190);
    expect(left(inbox)).toEqual(nothing);
  });
});
