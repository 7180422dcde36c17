import { describe, expect, test } from "bun:test";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES } from "./sources.ts";

const FAILS = "insert into effects values (:event_id, 'ran');\ninsert into things values (1, 'again');\n";
const WORKS = "insert into effects values (:event_id, 'ran');\n";

const failure = (inbox: TestInbox) =>
  inbox.rows(
    "select code, attempts, deliveries, cast(last_body as text) as body, settled_at from hookonce_failures",
  )[0];

/** As if the handler had hung: how that comes about is tested in test/watchdog. */
function quarantine(inbox: TestInbox, code = "handler_timeout"): void {
  inbox.rows("update hookonce_failures set code = ?, error = 'it hung' returning id", code);
}

async function deliver(inbox: TestInbox, event: object = { event_id: "one", type: "paid" }) {
  const { status, body } = await inbox.deliver(event);
  return [status, body.status as string];
}

describe.each(["handler_timeout", "handler_died"])("an event that failed with %s", (code) => {
  test("is not run by a delivery, which is counted and keeps its body", async () => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": TABLES, "handlers/default/paid.sql": FAILS },
    });
    await deliver(inbox);
    quarantine(inbox, code);
    const again = { event_id: "one", type: "paid", n: 2 };
    expect(await deliver(inbox, again)).toEqual([500, "failed"]);
    expect(failure(inbox)).toEqual({
      code,
      attempts: 1,
      deliveries: 2,
      body: JSON.stringify(again),
      settled_at: null,
    });
    expect(inbox.log.at(-1)).toMatchObject({ event: "one", outcome: "failed", code, cause: "it hung" });
    expect(inbox.rows("select number, outcome from hookonce_deliveries order by number")).toEqual([
      { number: 1, outcome: "failed" },
      { number: 2, outcome: "failed" },
    ]);
    await inbox.restart();
    expect(await deliver(inbox)).toEqual([500, "failed"]);
    expect(failure(inbox)).toMatchObject({ code, attempts: 1, deliveries: 3 });
  });

  test("is run again once its handler has changed, and its failure is settled", async () => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": TABLES, "handlers/default/paid.sql": FAILS },
    });
    await deliver(inbox);
    quarantine(inbox, code);
    await inbox.restart({ files: { "handlers/default/paid.sql": WORKS } });
    expect(await deliver(inbox)).toEqual([200, "processed"]);
    expect(failure(inbox)?.settled_at).toBeNumber();
    expect(inbox.value("select count(*) from effects")).toBe(1);
  });

  test("is not run while it is unhandled, too", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": TABLES } });
    expect(await deliver(inbox)).toEqual([200, "unhandled"]);
    await inbox.restart({ files: { "handlers/default/paid.sql": FAILS } });
    expect(await deliver(inbox)).toEqual([500, "failed"]);
    quarantine(inbox, code);
    expect(await deliver(inbox)).toEqual([500, "failed"]);
    expect(failure(inbox)).toMatchObject({ code, attempts: 1 });
    expect(inbox.rows("select outcome, deliveries from hookonce_events")).toEqual([
      { outcome: "unhandled", deliveries: 3 },
    ]);
    await inbox.restart({ files: { "handlers/default/paid.sql": WORKS } });
    expect(await deliver(inbox)).toEqual([200, "processed"]);
  });

  test("is run at once if it fails with another handler than the one that hung", async () => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": TABLES, "handlers/default/_any.sql": FAILS },
    });
    await deliver(inbox);
    quarantine(inbox, code);
    await inbox.restart({
      files: { "handlers/default/paid.sql": WORKS },
    });
    expect(await deliver(inbox)).toEqual([200, "processed"]);
  });
});

test.each([
  ["a failure", true],
  ["unhandled", false],
])(
  "%s that hung is answered 200 while its source is paused, and is skipped when it resumes",
  async (_, failedAtOnce) => {
    const handler = { "handlers/default/paid.sql": FAILS };
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": TABLES, ...(failedAtOnce ? handler : {}) },
      upkeep: { minuteMs: 60_000 },
    });
    await deliver(inbox);
    if (!failedAtOnce) {
      await inbox.restart({ files: handler });
      await deliver(inbox);
    }
    quarantine(inbox);
    await inbox.pausing.pause("default", {}, "sam");
    expect(await deliver(inbox)).toEqual([200, "held"]);
    expect(failure(inbox)?.settled_at).toBeNull();
    await deliver(inbox, { event_id: "two", type: "paid" });
    const resumed = async (): Promise<void> => {
      await inbox.pausing.resume("default", {}, "sam");
      while (inbox.rows("select * from hookonce_source_states").length > 0) await Bun.sleep(5);
    };
    await resumed();
    expect(failure(inbox)).toMatchObject({ code: "handler_timeout", attempts: 1, settled_at: null });
    expect(inbox.rows("select event_id, outcome from hookonce_events")).toEqual([
      ...(failedAtOnce ? [] : [{ event_id: "one", outcome: "unhandled" }]),
      { event_id: "two", outcome: "unhandled" },
    ]);
    expect(await deliver(inbox)).toEqual([500, "failed"]);
    expect(inbox.value("select count(*) from effects")).toBe(0);

    // It runs once its handler has changed, and so does the other one, which has failed.
    await inbox.pausing.pause("default", {}, "sam");
    expect(await deliver(inbox)).toEqual([200, "held"]);
    await inbox.restart({ files: { "handlers/default/paid.sql": WORKS } });
    await resumed();
    expect(inbox.value("select count(*) from effects")).toBe(2);
    expect(await deliver(inbox)).toEqual([200, "duplicate"]);
  },
);

test("a dry run by ids says that quarantined events would run all the same", async () => {
  await using inbox = await testInbox({
    files: { "migrations/0001.sql": TABLES, "handlers/default/paid.sql": FAILS },
  });
  await deliver(inbox);
  quarantine(inbox);
  await deliver(inbox, { event_id: "two", type: "paid" });
  const counts: unknown[] = [];
  for (const selection of [{ ids: ["one", "two"] }, { filter: { type: "paid" } }]) {
    const begun = await inbox.api("/api/jobs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ action: "apply", dry_run: true, ...selection }),
    });
    const { id } = (await begun.json()) as { id: string };
    let job: JobJson;
    do {
      await Bun.sleep(5);
      job = (await (await inbox.api(`/api/jobs/${id}`)).json()) as JobJson;
    } while (job.state === "running");
    counts.push(job.groups.map((group) => [group.would_run, group.forced, group.quarantined]));
  }
  expect(counts).toEqual([[[2, 1, 0]], [[1, 0, 1]]]);
});

test("an event of the same handler that did not hang is run", async () => {
  await using inbox = await testInbox({
    files: { "migrations/0001.sql": TABLES, "handlers/default/paid.sql": FAILS },
  });
  await deliver(inbox);
  quarantine(inbox);
  await deliver(inbox, { event_id: "two", type: "paid" });
  expect(inbox.rows("select event_id, code from hookonce_failures order by event_id")).toEqual([
    { event_id: "one", code: "handler_timeout" },
    { event_id: "two", code: "handler_error" },
  ]);
});
