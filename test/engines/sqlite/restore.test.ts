import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { hasForeignLog, setForeignLogAside } from "../../../src/engines/sqlite/leftover-log.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { refusedStart, testInbox, type TestInbox } from "../../support/test-inbox.ts";

const event = (n: number): object => ({ event_id: `evt_${n}`, type: "t" });

async function statuses(inbox: TestInbox, ...events: number[]): Promise<string[]> {
  const found: string[] = [];
  for (const n of events) found.push(String((await inbox.deliver(event(n))).body.status));
  return found;
}

/**
 * A copy of the files as a kill -9 leaves them, made by another process: this one must not drop SQLite's
 * locks.
 */
function keepFiles(path: string): string {
  const kept = `${path}.killed`;
  for (const suffix of ["", "-wal", "-shm"]) Bun.spawnSync(["cp", path + suffix, kept + suffix]);
  return kept;
}

function asideIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes("-wal.left-"));
}

/** Each makes a copy of a database that holds event 1. */
const copies: Record<string, (inbox: TestInbox, copy: string) => Promise<void> | void> = {
  "made by VACUUM INTO while it serves": (inbox, copy) => {
    inbox.rows("vacuum into ?", copy);
  },
  "of the file, made after a stop": async (inbox, copy) => {
    await inbox.close();
    copyFileSync(inbox.databasePath, copy);
    await inbox.restart();
  },
  "that hookonce made before a migration": async (inbox, copy) => {
    await inbox.restart({ files: { "migrations/0001.sql": "create table later (n integer);" } });
    const made = readdirSync(dirname(copy)).find((name) => name.includes(".before-0001-"));
    copyFileSync(join(dirname(copy), made as string), copy);
  },
};

describe("a restored copy", () => {
  for (const [name, make] of Object.entries(copies)) {
    test(`${name} starts after a clean stop, and has what it had then`, async () => {
      await using inbox = await testInbox();
      const { databasePath } = inbox;
      expect(await statuses(inbox, 1)).toEqual(["unhandled"]);
      const copy = `${databasePath}.backup`;
      await make(inbox, copy);
      expect(await statuses(inbox, 2)).toEqual(["unhandled"]);
      await inbox.close();
      renameSync(copy, databasePath);
      await inbox.restart();
      expect(inbox.value("select count(*) from hookonce_events")).toBe(1);
      expect(inbox.value("pragma journal_mode")).toBe("wal");
      expect(await statuses(inbox, 1, 2)).toEqual(["unhandled", "unhandled"]);
      expect(inbox.value("pragma integrity_check")).toBe("ok");
    });

    test(`${name} starts beside the log of the database that was killed, which has no effect`, async () => {
      await using inbox = await testInbox();
      const { databasePath } = inbox;
      expect(await statuses(inbox, 1)).toEqual(["unhandled"]);
      const copy = `${databasePath}.backup`;
      await make(inbox, copy);
      for (let n = 2; n < 40; n++) await statuses(inbox, n);
      const killed = keepFiles(databasePath);
      await inbox.close();
      expect(statSync(`${killed}-wal`).size).toBeGreaterThan(4096);
      renameSync(`${killed}-wal`, `${databasePath}-wal`);
      renameSync(`${killed}-shm`, `${databasePath}-shm`);
      // In place, as cp does it: the file stays the same one.
      copyFileSync(copy, databasePath);
      await inbox.restart();
      expect(inbox.value("select count(*) from hookonce_events")).toBe(1);
      expect(inbox.value("pragma integrity_check")).toBe("ok");
      const [aside, ...others] = asideIn(dirname(databasePath));
      expect(others).toEqual([]);
      expect(inbox.log).toContainEqual(
        expect.objectContaining({
          msg: "the write-ahead log of another database was beside this one: it was renamed and has no effect",
          log: join(dirname(databasePath), aside as string),
        }),
      );
      expect(await statuses(inbox, 1, 2, 2)).toEqual(["unhandled", "unhandled", "unhandled"]);
      expect(inbox.value("select count(*) from hookonce_events")).toBe(2);
    });
  }

  test("of an application's database that hookonce has served starts as well, and keeps its settings", async () => {
    const folder = temporaryFolder("restore");
    const path = join(folder, "app.db");
    {
      using app = new Database(path);
      app.run("pragma journal_mode = wal");
      app.run("pragma user_version = 42");
      app.run("create table customers (id integer primary key)");
    }
    const config = `database = "${path}"\n[sources.default]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\n`;
    {
      await using inbox = await testInbox({ config });
      await statuses(inbox, 1);
      await inbox.close();
      using app = new Database(path);
      app.run("vacuum into ?", [`${path}.backup`]);
    }
    renameSync(`${path}.backup`, path);
    await using inbox = await testInbox({ config });
    expect(await statuses(inbox, 1)).toEqual(["unhandled"]);
    using app = new Database(path);
    expect(app.prepare("pragma journal_mode").values()).toEqual([["wal"]]);
    expect(app.prepare("pragma user_version").values()).toEqual([[42]]);
    expect(app.prepare("select deliveries from hookonce_events").values()).toEqual([[2]]);
    rmSync(folder, { recursive: true });
  });

  test("of an application's database without hookonce's tables is refused: nobody has allowed WAL mode", async () => {
    const folder = temporaryFolder("restore");
    const path = join(folder, "app.db");
    {
      using app = new Database(path);
      app.run("create table customers (id integer primary key)");
    }
    const error = await refusedStart({
      config: `database = "${path}"\n[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\n`,
    });
    expect(error.problems[0]?.message).toContain("convert_to_wal = true");
    rmSync(folder, { recursive: true });
  });
});

/** A database of hookonce as a kill leaves it, alone in a folder. */
async function killed(work: (path: string, earlier: string) => Promise<void> | void): Promise<void> {
  await using inbox = await testInbox();
  await statuses(inbox, 1);
  await inbox.close();
  const earlier = `${inbox.databasePath}.earlier`;
  copyFileSync(inbox.databasePath, earlier);
  await inbox.restart();
  await statuses(inbox, 2, 3);
  await work(keepFiles(inbox.databasePath), earlier);
}

describe("the log beside a database", () => {
  test("that is its own is used, however often the start is repeated", () =>
    killed((path) => {
      for (let n = 0; n < 3; n++) {
        expect(hasForeignLog(path)).toBe(false);
        expect(setForeignLogAside(path, 0)).toBeUndefined();
      }
      using db = new Database(path);
      expect(db.prepare("select count(*) from hookonce_events").values()).toEqual([[3]]);
    }));

  test("is foreign if the file is empty, an earlier copy, or not in WAL mode", () =>
    killed((path, earlier) => {
      Bun.spawnSync(["cp", earlier, path]);
      expect(hasForeignLog(path)).toBe(true);
      writeFileSync(path, "");
      expect(hasForeignLog(path)).toBe(true);
      rmSync(path);
      using db = new Database(path);
      rmSync(`${path}-wal`);
      db.run("create table t (n)");
      db.close(true);
      Bun.spawnSync(["cp", `${earlier.replace(".earlier", "")}-wal`, `${path}-wal`]);
      expect(hasForeignLog(path)).toBe(true);
      const aside = setForeignLogAside(path, 0) as string;
      expect(basename(aside)).toBe(`${basename(path)}-wal.left-1970-01-01T00-00-00-000Z`);
      expect([existsSync(aside), existsSync(`${path}-wal`), existsSync(`${path}-shm`)]).toEqual([
        true,
        false,
        false,
      ]);
    }));

  test("is foreign if the file is a copy made while hookonce served, and the log has been restarted since", async () => {
    await using inbox = await testInbox();
    const { databasePath: path } = inbox;
    const mark = (): string => String(inbox.value("select value from hookonce_meta where key = 'log_mark'"));
    /** Moves the log into the file, and begins another one. */
    async function nextLog(...events: number[]): Promise<void> {
      inbox.rows("pragma wal_checkpoint(truncate)");
      const before = mark();
      for (const n of events) await statuses(inbox, n);
      while (mark() === before) await Bun.sleep(1);
    }
    await statuses(inbox, 1, 2, 3, 4);
    await nextLog(5, 6, 7, 8);
    inbox.rows("pragma wal_checkpoint(passive)");
    Bun.spawnSync(["cp", path, `${path}.early`]);
    await nextLog(9, 10, 11, 12);
    await nextLog(13);
    Bun.spawnSync(["cp", path, `${path}.late`]);
    await statuses(inbox, 14);
    const killed = keepFiles(path);
    expect(hasForeignLog(killed)).toBe(false);
    Bun.spawnSync(["cp", `${path}.late`, killed]);
    expect(hasForeignLog(killed)).toBe(false);
    Bun.spawnSync(["cp", `${path}.early`, killed]);
    expect(hasForeignLog(killed)).toBe(true);
    setForeignLogAside(killed, 0);
    using db = new Database(killed);
    expect(db.prepare("select count(*) from hookonce_events").values()).toEqual([[8]]);
    expect(db.prepare("pragma integrity_check").values()).toEqual([["ok"]]);
  });

  test("without a frame is nobody's", () =>
    killed((path) => {
      writeFileSync(path, "");
      Bun.spawnSync(["truncate", "-s", "32", `${path}-wal`]);
      expect(hasForeignLog(path)).toBe(false);
      Bun.spawnSync(["truncate", "-s", "0", `${path}-wal`]);
      expect(hasForeignLog(path)).toBe(false);
    }));

  test("of an application that runs is used", () => {
    const folder = temporaryFolder("leftover");
    const path = join(folder, "app.db");
    using app = new Database(path);
    app.run("pragma journal_mode = wal");
    app.run("create table customers (id integer primary key)");
    expect(hasForeignLog(path)).toBe(false);
    const { connection } = openDatabase(path);
    expect(connection.prepare("select count(*) from customers").values()).toEqual([[0]]);
    connection.close(true);
    rmSync(folder, { recursive: true });
  });
});
