import { describe, expect, test } from "bun:test";
import type { EventDetail, EventJson, List } from "../../src/http/admin/shapes.ts";
import { dedupWindowOf } from "../../src/providers/dedup-window.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { refusedStart, testInbox } from "../support/test-inbox.ts";

const DAY = 86_400_000;
const MIGRATION = "create table effects (event_id text not null, received_at integer not null) strict;";
const HANDLER = "insert into effects values (:event_id, :received_at);";

const source = (keys: string, eventId = '"sha256:body"'): string => `[sources.default]
provider = "unsigned"
event_id = ${eventId}
type = "body:$.type"
${keys}`;

describe("an id that is made from the body", () => {
  test("has one effect in each window, whatever races at its end", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using inbox = await testInbox({
      config: source('dedup_window = "7d"'),
      files: { "migrations/0001.sql": MIGRATION, "handlers/default/_any.sql": HANDLER },
      clock: () => now,
      open: { queue: { maxEvents: 3 } },
    });
    const ping = { type: "ping" };
    for (let window = 1; window <= 4; window++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => inbox.deliver(ping)));
      const statuses = answers.map(({ body }) => body.status as string);
      expect(statuses.filter((status) => status === "processed")).toHaveLength(1);
      expect(statuses.filter((status) => status === "duplicate")).toHaveLength(19);
      now += 7 * DAY;
      expect((await inbox.deliver(ping)).body.status).toBe("duplicate");
      now += 1;
      expect(inbox.value("select count(*) from effects")).toBe(window);
      await inbox.restart();
    }
    const { items } = (await (await inbox.api("/api/events")).json()) as List<EventJson>;
    expect(items.map(({ outcome, deliveries }) => [outcome, deliveries])).toEqual(
      Array.from({ length: 4 }, () => ["processed", 21]),
    );
    const [newest] = items;
    const answer = await inbox.api(`/api/event?source=default&event_id=${newest?.event_id}`);
    const detail = (await answer.json()) as EventDetail;
    expect(detail.received_at).toBe(newest?.received_at ?? 0);
    expect(detail.timeline[0]).toMatchObject({ number: 1, at: detail.received_at, outcome: "processed" });
    expect(detail.earlier.map(({ received_at }) => received_at)).toEqual(
      items.slice(1).map(({ received_at }) => received_at),
    );
  });

  test("whose handler fails after the window is owed as one event, and its window begins then", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using inbox = await testInbox({
      config: source('dedup_window = "7d"'),
      files: {
        "migrations/0001.sql": `${MIGRATION} create table broken (yes integer not null) strict;
--> statement-breakpoint
insert into broken values (0);`,
        "handlers/default/_any.sql": `${HANDLER} insert into effects select null, null from broken where yes;`,
      },
      clock: () => now,
    });
    const deliver = async (): Promise<string> =>
      (await inbox.deliver({ type: "ping" })).body.status as string;
    expect(await deliver()).toBe("processed");
    now += 8 * DAY;
    const again = now;
    inbox.rows("update broken set yes = 1 returning yes");
    expect([await deliver(), await deliver()]).toEqual(["failed", "failed"]);
    const { items } = (await (await inbox.api("/api/events?outcome=failed")).json()) as List<EventJson>;
    expect(items).toMatchObject([{ outcome: "failed", deliveries: 2, received_at: again }]);
    const event = (await (
      await inbox.api(`/api/event?source=default&event_id=${items[0]?.event_id}`)
    ).json()) as EventDetail;
    expect(event).toMatchObject({
      outcome: "failed",
      failure: { attempts: 2 },
      earlier: [{ deliveries: 1 }],
    });
    inbox.rows("update broken set yes = 0 returning yes");
    now += DAY;
    expect([await deliver(), await deliver()]).toEqual(["processed", "duplicate"]);
    expect(inbox.rows("select received_at from effects").map((row) => row.received_at)).toEqual([
      again - 8 * DAY,
      again,
    ]);
  });
});

const problem = async (keys: string, eventId?: string): Promise<string> => {
  const { problems } = await refusedStart({ config: source(keys, eventId) });
  return problems.map(({ message, line }) => `${line}: ${message}`).join("\n");
};

describe("dedup_window", () => {
  test.each([
    [
      'dedup_window = "7d"',
      '"body:$.id"',
      "6: sources.default: dedup_window has no effect: the event id is not made from the body alone",
    ],
    ['dedup_window = "7d"', '["header:x-id", "sha256:body"]', "dedup_window has no effect"],
    ['dedup_window = "7d"', '"sha256:body:$.id"', "dedup_window has no effect"],
    ['dedup_window = "0s"', '"sha256:body"', "dedup_window is 0s"],
    ["dedup_window = 7", '"sha256:body"', "dedup_window"],
    [
      'dedup_window = "7d"\nsame_body = "duplicate"',
      '"sha256:body"',
      'dedup_window contradicts same_body = "duplicate"',
    ],
  ])("%s with event_id = %s is refused", async (keys, eventId, text) => {
    expect(await problem(keys, eventId)).toContain(text);
  });

  test("may not be shorter than the time in which the provider retries", () => {
    const provider = providers.get("lemon-squeezy");
    if (provider === undefined) throw new Error("no such preset");
    expect(() => dedupWindowOf({ provider, dedupWindow: provider.retryWindowMs }, provider.scheme)).toThrow(
      /dedup_window is too short: Lemon Squeezy may deliver an event again/,
    );
    expect(dedupWindowOf({ provider, dedupWindow: provider.retryWindowMs + 1 }, provider.scheme)).toBe(
      provider.retryWindowMs + 1,
    );
  });

  test("is a default only if a time is signed and the tolerance is shorter", () => {
    const windows = [...providers.values()].filter(
      (provider) => dedupWindowOf({ provider }, provider.scheme) !== undefined,
    );
    expect(windows.length).toBeGreaterThan(2);
    for (const { scheme, retryWindowMs } of windows) {
      const tolerance = kindOf(scheme).tolerance(scheme);
      expect((tolerance ?? Number.POSITIVE_INFINITY) * 1000).toBeLessThan(7 * DAY);
      expect(retryWindowMs).toBeLessThan(7 * DAY);
    }
    const zoom = providers.get("zoom");
    if (zoom === undefined) throw new Error("no such preset");
    expect(dedupWindowOf({ provider: zoom }, zoom.scheme)).toBe(7 * DAY);
    const late = kindOf(zoom.scheme).withTolerance(zoom.scheme, (8 * DAY) / 1000);
    expect(dedupWindowOf({ provider: zoom }, late)).toBeUndefined();
    expect(dedupWindowOf({ provider: zoom, eventId: "body:$.id" }, zoom.scheme)).toBeUndefined();
  });
});
