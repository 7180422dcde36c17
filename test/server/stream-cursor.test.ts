import { expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** `GET /api/stream?cursor=…`: each event once, in the order received. */

const START = 1_800_000_000_000;

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"

[sources.other]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"
`;

const FILES = {
  "migrations/1.sql": "create table credits (id text, cents integer not null) strict;",
  "handlers/shop/paid.sql": "insert into credits values (:event_id, :payload ->> '$.cents');",
};

interface Sent {
  readonly id: string;
  readonly outcome: string;
  readonly cursor: string;
}

interface Following {
  readonly first: string;
  /** Every event so far, once one of them has this id. */
  readonly until: (id: string) => Promise<readonly Sent[]>;
  /** Resolves when the server ends the stream. */
  readonly ended: () => Promise<readonly Sent[]>;
  /** Resolves once the stream has sent this text. */
  readonly wait: (part: string) => Promise<void>;
  readonly end: () => Promise<void>;
}

async function follow(inbox: TestInbox, query: string): Promise<Following> {
  const response = await inbox.api(`/api/stream?${query}`);
  expect(response.status).toBe(200);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  const sent = (): Sent[] =>
    [...text.matchAll(/^event: event\ndata: (.*)\nid: (.*)$/gm)].map(([, json, cursor]) => {
      const { event_id: id, outcome } = JSON.parse(String(json)) as Record<string, string>;
      return { id: String(id), outcome: String(outcome), cursor: String(cursor) };
    });
  const more = async (): Promise<boolean> => {
    const { value, done } = await reader.read();
    text += Buffer.from(value ?? []).toString();
    return !done;
  };
  while (!/^event: open\ndata: \{\}\nid: (.*)$/m.test(text)) if (!(await more())) throw new Error(text);
  return {
    first: String(/^event: open\ndata: \{\}\nid: (.*)$/m.exec(text)?.[1]),
    until: async (id) => {
      while (!sent().some((one) => one.id === id))
        if (!(await more())) throw new Error(`the stream ended before ${id}: ${text}`);
      return sent();
    },
    ended: async () => {
      while (await more());
      return sent();
    },
    wait: async (part) => {
      while (!text.includes(part)) if (!(await more())) throw new Error(`no ${part}: ${text}`);
    },
    end: () => reader.cancel(),
  };
}

const shop = { source: "shop" };
const paid = (id: string, cents: number | null = 1) => ({ id, type: "paid", cents });
const idsOf = (sent: readonly Sent[]): string[] => sent.map(({ id }) => id);

async function job(inbox: TestInbox, request: object): Promise<void> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  expect(begun.status).toBe(202);
  const { id } = (await begun.json()) as { id: string };
  for (let state: unknown = "running"; state === "running"; await Bun.sleep(5))
    ({ state } = (await (await inbox.api(`/api/jobs/${id}`)).json()) as { state: unknown });
}

/** A failure that is applied, one that stays, an unhandled event that fails later, and events between them. */
async function history(): Promise<TestInbox> {
  let now = START;
  const inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => (now += 1000) });
  await inbox.deliver(paid("first"), shop);
  await inbox.deliver(paid("fails", null), shop);
  await inbox.deliver({ id: "later", type: "later", cents: null }, shop);
  await inbox.deliver(paid("stays", null), shop);
  await inbox.deliver({ id: "theirs", type: "paid" }, { source: "other" });
  await inbox.deliver(paid("middle"), shop);
  return inbox;
}

/** Applies, fails, replays and repeats what there is. */
async function shake(inbox: TestInbox): Promise<void> {
  await inbox.restart({
    files: { "handlers/shop/later.sql": "insert into credits values (:event_id, :payload ->> '$.cents');" },
  });
  await job(inbox, { action: "apply", ids: ["later"] });
  await inbox.deliver(paid("fails", 5), shop);
  await inbox.deliver(paid("stays", null), shop);
  await inbox.deliver(paid("first"), shop);
  await job(inbox, { action: "replay", ids: ["middle"], reason: "a lost receipt" });
}

const ORDER = ["first", "fails", "later", "stays", "theirs", "middle"];

test("sends each event once, in the order received, whatever becomes of it", async () => {
  await using inbox = await history();
  const before = await follow(inbox, "cursor=first");
  expect(idsOf(await before.until("middle"))).toEqual(ORDER);
  await before.end();
  await shake(inbox);
  await inbox.deliver(paid("last"), shop);
  const again = await follow(inbox, "cursor=first");
  const sent = await again.until("last");
  expect(idsOf(sent)).toEqual([...ORDER, "last"]);
  // As it is now.
  expect(sent.map(({ outcome }) => outcome)).toEqual([
    "processed",
    "processed",
    "failed",
    "failed",
    "unhandled",
    "processed",
    "processed",
  ]);
  await again.end();
});

test("goes on after any cursor without a gap and without a repetition", async () => {
  await using inbox = await history();
  const all = await follow(inbox, "cursor=first");
  const cursors = [all.first, ...(await all.until("middle")).map(({ cursor }) => cursor)];
  await all.end();
  await shake(inbox);
  await inbox.deliver(paid("last"), shop);
  for (const [at, cursor] of cursors.entries()) {
    const rest = await follow(inbox, `cursor=${cursor}`);
    expect(idsOf(await rest.until("last"))).toEqual([...ORDER.slice(at), "last"]);
    await rest.end();
  }
});

test("a failure is sent when it fails, and not again when it is applied", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES });
  const live = await follow(inbox, "cursor=last");
  await inbox.deliver(paid("fails", null), shop);
  await live.until("fails");
  await inbox.deliver(paid("fails", 1), shop);
  await inbox.deliver(paid("next"), shop);
  expect(idsOf(await live.until("next"))).toEqual(["fails", "next"]);
  await live.end();
});

test("a failure whose row has the id of one that was removed is sent", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES });
  await inbox.deliver(paid("gone", null), shop);
  await inbox.deliver(paid("gone", 1), shop);
  const before = await follow(inbox, "cursor=last");
  const cursor = before.first;
  await before.end();
  expect(inbox.value("select id from hookonce_failures")).toBe(1);
  inbox.rows("delete from hookonce_failures");
  await inbox.deliver(paid("fails", null), shop);
  expect(inbox.value("select id from hookonce_failures")).toBe(1);
  const rest = await follow(inbox, `cursor=${cursor}`);
  expect(idsOf(await rest.until("fails"))).toEqual(["fails"]);
  await rest.end();
});

test("begins with the first event that was received at a time or later", async () => {
  await using inbox = await history();
  const times = new Map(
    [
      ...(inbox.rows("select event_id as id, received_at as at from hookonce_events") as Row[]),
      ...(inbox.rows("select event_id as id, first_at as at from hookonce_failures") as Row[]),
    ].map(({ id, at }) => [id, at]),
  );
  await shake(inbox);
  await inbox.deliver(paid("last"), shop);
  for (const [at, id] of ORDER.entries()) {
    const rest = await follow(inbox, `cursor=first&since=${times.get(id)}`);
    expect(idsOf(await rest.until("last"))).toEqual([...ORDER.slice(at), "last"]);
    await rest.end();
  }
  const none = await follow(inbox, `cursor=first&since=${START * 2}`);
  const end = await follow(inbox, "cursor=last");
  expect(none.first).toBe(end.first);
  await none.end();
  await end.end();
});

interface Row {
  readonly id: string;
  readonly at: number;
}

test("a filter leaves events out, and the cursor still moves on", async () => {
  await using inbox = await history();
  const shops = await follow(inbox, "cursor=first&source=shop&type=p*");
  expect(idsOf(await shops.until("middle"))).toEqual(["first", "fails", "stays", "middle"]);
  await shops.end();
  const none = await follow(inbox, "cursor=first&source=shop&type=none");
  const end = await follow(inbox, "cursor=last");
  await none.wait(`event: place\ndata: {}\nid: ${end.first}\n`);
  await none.end();
  await end.end();
});

test("ends after 1,000 events, and the next stream goes on", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES });
  const events = Array.from({ length: 1500 }, (_, n) => [`old_${n}`, "paid", START]);
  await job(inbox, { action: "import", source: "shop", events });
  const sent: string[] = [];
  const first = await (await follow(inbox, "cursor=first")).ended();
  sent.push(...idsOf(first));
  expect(sent.length).toBeGreaterThanOrEqual(1000);
  expect(sent.length).toBeLessThan(1500);
  const rest = await follow(inbox, `cursor=${first.at(-1)?.cursor}`);
  sent.push(...idsOf(await rest.until("old_1499")));
  await rest.end();
  expect(sent).toEqual(events.map(([id]) => String(id)));
});

test("refuses a cursor of another database, and one that it cannot read", async () => {
  await using inbox = await history();
  await using other = await testInbox({ config: CONFIG, files: FILES });
  await other.deliver(paid("another"), shop);
  const all = await follow(inbox, "cursor=first");
  const cursors = (await all.until("middle")).map(({ cursor }) => cursor);
  await all.end();
  for (const cursor of [...cursors, "x", "1.2.3", "-1.0"]) {
    const response = await other.api(`/api/stream?cursor=${cursor}`);
    const { error } = (await response.json()) as { error: { code: string } };
    expect([response.status, error.code]).toEqual([400, "invalid_cursor"]);
  }
});
