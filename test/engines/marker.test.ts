import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  lookAt,
  mapMarker,
  markerPathOf,
  MAX_MARKED_BODY,
  noMarker,
  openMarker,
  readLeft,
  verdictPathOf,
  writeVerdict,
  type Marker,
  type Run,
} from "../../src/engines/marker.ts";
import { watchRuns } from "../../src/engines/watchdog.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder: string;
let database: string;
let marker: Marker;

function open(): Marker {
  const opened = openMarker(markerPathOf(database));
  if ("reason" in opened) throw new Error(opened.reason);
  return opened;
}

beforeEach(() => {
  folder = temporaryFolder("marker");
  database = join(folder, "hookonce.db");
  marker = open();
});
afterEach(() => rmSync(folder, { recursive: true }));

const run: Run = {
  source: "stripe",
  eventId: "evt_ä😀",
  type: "invoice.paid",
  handler: "handlers/stripe/invoice.paid.ts",
  handlerHash: "c0ffee",
  receivedAt: 1_795_000_000_123,
  headersJson: '{"x-a":"ü\\n"}',
  body: Buffer.from([0, 255, 10, 13]),
};
const named = {
  source: run.source,
  eventId: run.eventId,
  type: run.type,
  handler: run.handler,
  handlerHash: run.handlerHash,
  receivedAt: run.receivedAt,
};

const text = (): string => readFileSync(markerPathOf(database), "latin1");

describe("a marker that is overwritten", () => {
  test.each([
    ["a longer run before it", "x".repeat(50_000)],
    ["a body that was too large", "x".repeat(MAX_MARKED_BODY + 1)],
  ])("has nothing of the last runs, with %s", (_, filler) => {
    const { source, handler } = run;
    marker.begin({ ...run, headersJson: `{"a":"${"h".repeat(9000)} jenny"}`, body: `${filler} jenny` });
    marker.end();
    marker.begin({ ...run, body: "jenny" });
    marker.end();
    expect(text()).toContain("jenny");
    marker.blank();
    for (const found of ["jenny", "hhhh", "xxxx", source, handler]) expect(text()).not.toContain(found);
    expect(readLeft(database)).toEqual({ killed: true, run: undefined, verdict: undefined });
  });

  test("marks the next run as before", () => {
    marker.begin(run);
    marker.end();
    marker.blank();
    marker.begin(run);
    expect(readLeft(database).run).toMatchObject(named);
  });
});

describe("a marked run", () => {
  test("is read by another process, and after the run nothing is", () => {
    marker.begin(run);
    const left = readLeft(database);
    expect(left).toEqual({
      killed: true,
      verdict: undefined,
      run: {
        ...named,
        token: expect.stringMatching(/^[0-9a-f-]{36}:1$/) as string,
        delivery: { headersJson: run.headersJson, body: Uint8Array.of(0, 255, 10, 13), element: false },
      },
    });
    marker.end();
    expect(readLeft(database)).toEqual({ killed: true, run: undefined, verdict: undefined });
  });

  test("has its own token, even for the same event again", () => {
    const tokens = [1, 2].map(() => {
      marker.begin(run);
      return readLeft(database).run?.token;
    });
    marker.close();
    marker = open();
    marker.begin(run);
    expect(new Set([...tokens, readLeft(database).run?.token]).size).toBe(3);
  });

  test("keeps an event's own part of a batch as text", () => {
    marker.begin({ ...run, body: '{"a":"ä"}' });
    const delivery = readLeft(database).run?.delivery;
    expect(delivery?.element).toBe(true);
    expect(Buffer.from(delivery?.body ?? []).toString()).toBe('{"a":"ä"}');
  });

  test.each<[string, Partial<Run>, boolean]>([
    ["a body of 64 KiB", { body: Buffer.alloc(MAX_MARKED_BODY, 1) }, true],
    ["a larger body", { body: Buffer.alloc(MAX_MARKED_BODY + 1, 1) }, false],
    ["text of 64 KiB", { body: "ä".repeat(MAX_MARKED_BODY / 2) }, true],
    ["larger text", { body: "ä".repeat(MAX_MARKED_BODY / 2 + 1) }, false],
    ["an empty body", { body: new Uint8Array() }, true],
    ["headers of 32 KiB", { headersJson: "x".repeat(32 * 1024) }, true],
    ["larger headers", { headersJson: "x".repeat(32 * 1024 + 1) }, false],
  ])("%s: %#", (_, change, isKept) => {
    marker.begin({ ...run, ...change });
    const { delivery, ...rest } = readLeft(database).run ?? {};
    expect(rest).toEqual({ ...named, token: expect.any(String) as string });
    expect(delivery !== undefined).toBe(isKept);
    const { body = run.body, headersJson = run.headersJson } = change;
    if (delivery === undefined) return;
    expect(Buffer.from(delivery.body).equals(Buffer.from(body as Uint8Array))).toBe(true);
    expect(delivery.headersJson).toBe(headersJson);
  });

  test("is seen by a thread that maps the file, with its number", () => {
    const bytes = mapMarker(markerPathOf(database));
    expect(lookAt(bytes)).toEqual({ run: 0, sync: 0 });
    marker.begin(run);
    expect(lookAt(bytes)).toEqual({ run: 1, sync: 0 });
    marker.end();
    marker.begin(run);
    marker.beginSync();
    expect(lookAt(bytes)).toEqual({ run: 2, sync: 1 });
    marker.end();
    marker.endSync();
    expect(lookAt(bytes)).toEqual({ run: 0, sync: 0 });
  });
});

describe("the files", () => {
  test("are for their owner alone, and gone after a clean stop", () => {
    marker.begin(run);
    writeVerdict(verdictPathOf(database), mapMarker(markerPathOf(database)));
    for (const path of [markerPathOf(database), verdictPathOf(database)])
      expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readLeft(database).verdict).toEqual(readLeft(database).run);
    marker.close();
    expect(existsSync(markerPathOf(database))).toBe(false);
  });

  test("are never written through a link", () => {
    const target = join(folder, "target");
    writeFileSync(target, "keep");
    marker.close();
    symlinkSync(target, markerPathOf(database));
    symlinkSync(target, verdictPathOf(database));
    marker = open();
    marker.begin(run);
    writeVerdict(verdictPathOf(database), mapMarker(markerPathOf(database)));
    expect(readFileSync(target, "utf8")).toBe("keep");
  });

  test("hold nothing of a run once they are closed, even for somebody who has the marker open", () => {
    marker.begin(run);
    const bytes = mapMarker(markerPathOf(database));
    marker.close();
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    ["empty", ""],
    ["cut off", Buffer.alloc(1000, 1)],
    ["of another program", Buffer.alloc(102_400, 7)],
  ])("that are %s hold no run", (_, bytes) => {
    writeFileSync(markerPathOf(database), bytes);
    writeFileSync(verdictPathOf(database), bytes);
    expect(readLeft(database)).toEqual({ killed: true, run: undefined, verdict: undefined });
  });

  test("are not needed: the reason is returned if the marker cannot be made", () => {
    expect(openMarker(join(folder, "missing/hookonce.db.marker"))).toEqual({
      reason: expect.stringContaining("ENOENT") as string,
    });
  });

  test.each([
    ["marker", markerPathOf],
    ["verdict", verdictPathOf],
  ])("are not needed: a folder at the path of the %s is reported, and left alone", (_, pathOf) => {
    const database = join(folder, "app.db");
    mkdirSync(join(pathOf(database), "inside"), { recursive: true });
    const reasons: string[] = [];
    const marker = watchRuns(database, { tickMs: 1000, limit: 30 }, (reason) => reasons.push(reason));
    expect(marker).toBe(noMarker);
    expect(reasons).toEqual([expect.stringContaining("EISDIR")]);
    expect(existsSync(join(pathOf(database), "inside"))).toBe(true);
    rmSync(pathOf(database), { recursive: true });
  });
});
