import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { watchLogSize } from "../../src/engines/sqlite/log-size.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { refusalOf, testInbox, type TestInbox } from "../support/test-inbox.ts";

async function ready(inbox: TestInbox, within?: number): Promise<[number, unknown]> {
  const answer = await inbox.request(`/readyz${within === undefined ? "" : `?within=${within}`}`);
  const body = (await answer.json()) as { status?: string; error?: { code: string } };
  return [answer.status, body.error?.code ?? body.status];
}

function lock(inbox: TestInbox): Disposable {
  const other = new Database(inbox.databasePath);
  other.run("begin immediate");
  return {
    [Symbol.dispose]() {
      other.run("rollback");
      other.close();
    },
  };
}

describe("/readyz", () => {
  test("writes each time with within=0, and leaves nothing of it but the time", async () => {
    let now = 1000;
    await using inbox = await testInbox({ clock: () => now });
    for (now of [2000, 3000]) {
      expect(await ready(inbox, 0)).toEqual([200, "ready"]);
      expect(inbox.value("select value from hookonce_meta where key = 'probed_at'")).toBe(`${now}`);
    }
    for (const table of ["events", "bodies", "results", "deliveries", "changed_bodies", "failures"])
      expect([table, inbox.value(`select count(*) from hookonce_${table}`)]).toEqual([table, 0]);
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).body.status).toBe("unhandled");
  });

  test("does not take an old proof for a new one when the clock is set back", async () => {
    let now = Date.now();
    await using inbox = await testInbox({ clock: () => now });
    expect(await ready(inbox)).toEqual([200, "ready"]);
    now -= 3_600_000;
    using _ = lock(inbox);
    expect(await ready(inbox, 60_000)).toEqual([200, "ready"]);
    expect(await ready(inbox, 0)).toEqual([503, "database_locked"]);
    await Bun.sleep(60);
    expect(await ready(inbox, 50)).toEqual([503, "database_locked"]);
  });

  test.each([
    "events",
    "bodies",
    "results",
    "deliveries",
    "changed_bodies",
    "failures",
    "interrupted_runs",
    "meta",
  ])("is 503 if the table hookonce_%s was dropped, and the log says so", async (table) => {
    await using inbox = await testInbox();
    expect(await ready(inbox)).toEqual([200, "ready"]);
    inbox.rows(`drop table hookonce_${table}`);
    expect(await ready(inbox, 0)).toEqual([503, "storage_failed"]);
    // The earlier result no longer counts.
    expect(await ready(inbox, 60_000)).toEqual([503, "storage_failed"]);
    expect(inbox.log.at(-1)).toMatchObject({
      level: 40,
      msg: "not ready",
      code: "storage_failed",
      detail: expect.stringMatching(
        new RegExp(`no such table: (main\\.)?hookonce_${table} \\(SQLITE_ERROR\\)`),
      ),
    });
    expect(inbox.fatal).toEqual([]);
  });

  test("is 503 if the unique index was dropped, or a trigger refuses what a delivery writes", async () => {
    await using inbox = await testInbox();
    inbox.rows("drop index hookonce_events_source_event_id");
    expect(await ready(inbox, 0)).toEqual([503, "storage_failed"]);
    inbox.rows(
      "create unique index hookonce_events_source_event_id on hookonce_events (source, event_id, era)",
    );
    expect(await ready(inbox, 0)).toEqual([200, "ready"]);
    inbox.rows(
      "create trigger no_more before insert on hookonce_bodies begin select raise(abort, 'no more'); end",
    );
    expect(await ready(inbox, 0)).toEqual([503, "storage_failed"]);
    expect(inbox.log.at(-1)).toMatchObject({ detail: expect.stringContaining("no more") });
  });

  test("says in the log why it is 503 while the database is locked", async () => {
    await using inbox = await testInbox();
    using _ = lock(inbox);
    expect(await ready(inbox, 0)).toEqual([503, "database_locked"]);
    expect(inbox.log.at(-1)).toMatchObject({
      msg: "not ready",
      code: "database_locked",
      detail: "database is locked (SQLITE_BUSY)",
    });
  });

  testUnless(
    onlyInFullRun(),
    "warns while a reader keeps the log from being emptied, and the log warns at 256 MiB",
    async () => {
      await using inbox = await testInbox({
        mebibytes: 1000,
        config: `[sources.default]\nprovider = "unsigned"\nevent_id = "header:x-id"\ntype = "header:x-id"\nmax_body = "22 MiB"\n`,
      });
      const deliver = (n: number): Promise<{ status: number }> =>
        inbox.deliver("x".repeat(22 * 1024 * 1024), { headers: { "x-id": `evt_${n}` } });
      await deliver(0);
      const reader = new Database(inbox.databasePath, { readonly: true });
      reader.run("begin");
      reader.prepare("select count(*) from hookonce_events").values();
      for (let n = 1; n < 13; n++) expect((await deliver(n)).status).toBe(200);
      const warned = (): unknown[] => inbox.log.filter(({ msg }) => msg.includes("write-ahead log is large"));
      expect(warned()).toEqual([expect.objectContaining({ level: 40, bytes: expect.any(Number) })]);
      const body = (await (await inbox.request("/readyz?within=0")).json()) as Record<string, unknown>;
      expect(body).toMatchObject({
        status: "ready",
        warnings: [{ code: "log_large", message: expect.stringContaining(" MiB. A long read transaction") }],
      });
      reader.run("rollback");
      reader.close();
      // How many deliveries that takes depends on the thread that moves the log.
      const until = performance.now() + 40_000;
      const now = async (): Promise<unknown> => await (await inbox.request("/readyz?within=0")).json();
      for (let n = 13; !Bun.deepEquals(await now(), { status: "ready" }); n++) {
        if (performance.now() > until) throw new Error(`still ${JSON.stringify(await now())}`);
        // Then a duplicate: it also lets the log be moved, and keeps it below 512 MiB, the next warning.
        expect((await deliver(n < 22 ? n : 0)).status).toBe(200);
        await Bun.sleep(300);
      }
      expect(warned()).toHaveLength(1);
    },
    60_000,
  );
});

test("the length of the log is a warning at 256 MiB and at each doubling, and again after it was short", () => {
  const MIB = 1024 * 1024;
  const warned: number[] = [];
  const size = watchLogSize((bytes) => void warned.push(bytes / MIB));
  for (const mebibytes of [80, 255, 256, 300, 511, 512, 900, 3000, 4000, 4096, 0, 260, 270])
    size.see(mebibytes * MIB);
  expect(warned).toEqual([256, 512, 3000, 4096, 260]);
  expect(size.warning()?.message).toStartWith("The write-ahead log has 270 MiB. ");
  size.see(10 * MIB);
  expect(size.warning()).toBeUndefined();
});

test("a start is refused if one of hookonce's tables was dropped", async () => {
  await using inbox = await testInbox();
  inbox.rows("drop table hookonce_results");
  await inbox.close();
  const error = await refusalOf(() => inbox.restart());
  expect(error.code).toBe("database_unusable");
  expect(error.message).toContain("no such table: hookonce_results (SQLITE_ERROR)");
  expect(error.message).toContain("Restore a copy of the database.");
});
