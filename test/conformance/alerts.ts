import { describe, expect, test } from "bun:test";
import type { AlertEntry } from "../../src/engines/alerts.ts";
import type { Job } from "../../src/engines/engine.ts";
import type { EngineHarness } from "./harness.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";

const KEY = '{"alert":"disk_low"}';

type Change = Exclude<AlertEntry["change"], "seen" | "began" | "ended">;

const record = (entry: AlertEntry): Job => ({ kind: "record", entries: [entry] });
const seen = (at: number): Job => record({ entry: "alert", key: KEY, at, change: "seen", since: at - 10 });
const change = (what: Change, at: number): Job => record({ entry: "alert", key: KEY, at, change: what });
const tell = (what: "began" | "ended", at: number): Job =>
  record({ entry: "alert", key: KEY, at, change: what, destination: "app", body: `{"at":${at}}` });

const alerts = async (it: OpenEngine) => (await it.engine.reader()).alerts();

/** The bodies of all messages, in the order written. */
async function told(it: OpenEngine): Promise<string[]> {
  const reader = await it.engine.reader();
  const { items } = await reader.messages({}, undefined, 100);
  const all: string[] = [];
  for (const { row, destination } of items.toReversed()) {
    const { enqueued } = (await reader.message(row)) ?? {};
    expect(enqueued?.headers).toEqual({ "content-type": "application/json" });
    all.push(`${destination} ${Buffer.from(enqueued?.body ?? []).toString()}`);
  }
  return all;
}

/** Alerts, and the messages that say that they have begun or ended. */
export function createAlertTests(name: string, harness: EngineHarness): void {
  describe(`${name}: an alert`, () => {
    test("begins once and ends once, whatever is repeated", async () => {
      await using it = await openEngine(harness);
      await it.commit([seen(100), seen(200)]);
      expect(await alerts(it)).toEqual([{ key: KEY, since: 90, seenAt: 100, beganAt: null, goneAt: null }]);
      await it.commit([tell("began", 300), tell("began", 301)]);
      await it.commit([tell("began", 302)]);
      expect(await alerts(it)).toEqual([{ key: KEY, since: 90, seenAt: 100, beganAt: 300, goneAt: null }]);
      await it.commit([tell("ended", 400), tell("ended", 401)]);
      await it.commit([tell("ended", 402)]);
      expect(await alerts(it)).toEqual([]);
      expect(await told(it)).toEqual(['app {"at":300}', 'app {"at":400}']);
    });

    test("that has not begun does not end, and leaves no message", async () => {
      await using it = await openEngine(harness);
      await it.commit([seen(100), tell("ended", 200)]);
      expect((await alerts(it)).length).toBe(1);
      await it.commit([change("dropped", 300)]);
      expect(await alerts(it)).toEqual([]);
      await it.commit([tell("began", 400)]);
      expect([await alerts(it), await told(it)]).toEqual([[], []]);
    });

    test("that has begun is not dropped, and keeps the time since which its condition is gone", async () => {
      await using it = await openEngine(harness);
      await it.commit([seen(100), tell("began", 200), change("gone", 300), change("gone", 400)]);
      expect((await alerts(it))[0]?.goneAt).toBe(300);
      await it.commit([change("dropped", 500), change("back", 600)]);
      expect(await alerts(it)).toEqual([{ key: KEY, since: 90, seenAt: 100, beganAt: 200, goneAt: null }]);
    });
  });
}
