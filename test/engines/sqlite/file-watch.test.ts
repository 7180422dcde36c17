import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HookonceError } from "../../../src/errors.ts";
import { describeUnless, needsLinux, testInFullRun } from "../../crash/requirements.ts";
import { testInbox, type TestInbox } from "../../support/test-inbox.ts";

const event = (n: number): object => ({ event_id: `evt_${n}`, type: "t" });

/** Delivers an event, and returns the status, or the message of the error for which nothing is answered. */
async function statusOrError(inbox: TestInbox, n: number): Promise<number | string> {
  const answered = inbox.deliver(event(n)).then(({ status }) => status);
  const failed = (async () => {
    while (inbox.fatal.length === 0) await Bun.sleep(1);
    const [error] = inbox.fatal;
    expect(error).toBeInstanceOf(HookonceError);
    expect((error as HookonceError).code).toBe("database_moved");
    return (error as HookonceError).message;
  })();
  return Promise.race([answered, failed]);
}

/**
 * The ids of the recorded events in a database file, with or without the log beside it. It is copied by
 * another process: this one would drop the locks of the inbox when it closes the file.
 */
function idsIn(path: string, withLog: boolean): string[] {
  const copy = `${path}.to-read`;
  for (const suffix of withLog ? ["", "-wal"] : [""]) Bun.spawnSync(["cp", path + suffix, copy + suffix]);
  using db = new Database(copy);
  return (db.prepare("select event_id from hookonce_events order by id").values() as [string][]).map(
    ([id]) => id,
  );
}

const SAVED = "All events answered so far are in the database file that was open.";
const LOST = "Events answered recently may be only in the files that were open.";

const GONE = "Events answered recently may be lost.";

interface Loss {
  readonly name: string;
  readonly lose: (path: string) => void;
  /** Which files the error names, and what happened to each. */
  readonly told: readonly string[];
  readonly kept: string;
  /** The file that has the event that was answered. */
  readonly in?: (path: string) => string;
  /** Whether the log that is still beside that file is needed for it. */
  readonly withLog?: boolean;
}

const losses: readonly Loss[] = [
  {
    name: "the database is deleted",
    lose: (path) => rmSync(path),
    told: ["the database DB is gone"],
    kept: LOST,
  },
  {
    name: "the database is moved in its folder",
    lose: (path) => renameSync(path, `${path}.old`),
    told: ["the database DB is gone"],
    kept: SAVED,
    in: (path) => `${path}.old`,
  },
  {
    name: "the database is replaced by a copy that was moved over it",
    lose: (path) => {
      Bun.spawnSync(["cp", path, `${path}.copy`]);
      renameSync(`${path}.copy`, path);
    },
    told: ["the database DB is replaced"],
    kept: LOST,
  },
  {
    name: "only the write-ahead log is deleted",
    lose: (path) => rmSync(`${path}-wal`),
    told: ["the write-ahead log DB-wal is gone"],
    kept: SAVED,
    in: (path) => path,
  },
  {
    name: "the write-ahead log is replaced by an empty one",
    lose: (path) => {
      rmSync(`${path}-wal`);
      writeFileSync(`${path}-wal`, "");
    },
    told: ["the write-ahead log DB-wal is gone"],
    kept: SAVED,
    in: (path) => path,
  },
  {
    name: "the write-ahead log is replaced by that of another process",
    lose: (path) => {
      rmSync(`${path}-wal`);
      writeFileSync(`${path}-wal`, "pages");
    },
    told: ["the write-ahead log DB-wal is replaced"],
    kept: LOST,
  },
  {
    name: "only the index of the write-ahead log is deleted",
    lose: (path) => rmSync(`${path}-shm`),
    told: ["the index of the write-ahead log DB-shm is gone"],
    kept: SAVED,
    in: (path) => path,
    withLog: true,
  },
  {
    name: "log and index are deleted, as the last process that closes a database does",
    lose: (path) => {
      rmSync(`${path}-wal`);
      rmSync(`${path}-shm`);
    },
    told: ["the write-ahead log DB-wal is gone", "the index of the write-ahead log DB-shm is gone"],
    kept: LOST,
  },
  {
    name: "the write-ahead log is truncated",
    lose: (path) => truncateSync(`${path}-wal`),
    told: ["the write-ahead log DB-wal was truncated or overwritten"],
    kept: GONE,
  },
  {
    name: "the write-ahead log loses its last bytes",
    lose: (path) => truncateSync(`${path}-wal`, statSync(`${path}-wal`).size - 100),
    told: ["the write-ahead log DB-wal was truncated or overwritten"],
    kept: GONE,
  },
  {
    name: "another log is copied over the write-ahead log",
    lose: (path) => {
      using other = new Database(`${path}.other`);
      other.run("pragma journal_mode = wal");
      other.run("create table other (n)");
      Bun.spawnSync(["cp", `${path}.other-wal`, `${path}-wal`]);
    },
    told: ["the write-ahead log DB-wal was truncated or overwritten"],
    kept: GONE,
  },
  {
    name: "the database is truncated",
    lose: (path) => truncateSync(path),
    told: ["the database DB was truncated or overwritten"],
    kept: GONE,
  },
  {
    name: "another database is copied over the database",
    lose: (path) => {
      new Database(`${path}.other`).run("create table other (n)");
      Bun.spawnSync(["cp", `${path}.other`, path]);
    },
    told: ["the database DB was truncated or overwritten"],
    kept: GONE,
  },
  {
    name: "the folder is moved",
    lose: (path) => {
      renameSync(dirname(path), `${dirname(path)}-old`);
      mkdirSync(dirname(path));
    },
    told: ["the database DB is gone", "the write-ahead log DB-wal is gone"],
    kept: SAVED,
    in: (path) => path.replace("/data/", "/data-old/"),
  },
];

describeUnless(needsLinux(), "nothing is answered once", () => {
  for (const { name, lose, told, kept, in: where, withLog = false } of losses) {
    test(name, async () => {
      await using inbox = await testInbox();
      const { databasePath } = inbox;
      expect(await statusOrError(inbox, 1)).toBe(200);
      lose(databasePath);
      const message = await statusOrError(inbox, 2);
      for (const each of told) expect(message).toContain(each.replaceAll("DB", databasePath));
      expect(message).toContain(kept);
      if (where !== undefined) expect(idsIn(where(databasePath), withLog)).toContain("evt_1");
    });
  }

  test("a symbolic link leads to another database", async () => {
    await using inbox = await testInbox();
    const { databasePath, folder } = inbox;
    const elsewhere = join(folder, "elsewhere.db");
    await inbox.close();
    renameSync(databasePath, elsewhere);
    symlinkSync(elsewhere, databasePath);
    await inbox.restart();
    expect(await statusOrError(inbox, 1)).toBe(200);
    new Database(join(folder, "other.db"), { create: true }).close();
    rmSync(databasePath);
    writeFileSync(join(folder, "other.db"), "");
    symlinkSync(join(folder, "other.db"), databasePath);
    expect(await statusOrError(inbox, 2)).toContain(`the database ${databasePath} is replaced`);
  });

  test("the database is moved and another process has opened it there: its file is left alone", async () => {
    await using inbox = await testInbox();
    const { databasePath } = inbox;
    expect(await statusOrError(inbox, 1)).toBe(200);
    const moved = `${databasePath}.moved`;
    renameSync(databasePath, moved);
    const child = Bun.spawnSync({
      cmd: [
        process.execPath,
        "-e",
        `const { Database } = await import("bun:sqlite");
         const db = new Database(${JSON.stringify(moved)});
         db.run("create table theirs (n)");
         process.kill(process.pid, "SIGKILL");`,
      ],
    });
    expect(child.signalCode).toBe("SIGKILL");
    const { mtimeMs } = statSync(moved);
    expect(await statusOrError(inbox, 2)).toContain(LOST);
    expect(statSync(moved).mtimeMs).toBe(mtimeMs);
  });
});

async function ended(inbox: TestInbox): Promise<void> {
  while (inbox.fatal.length === 0) await Bun.sleep(20);
  expect(inbox.fatal[0]).toMatchObject({ code: "database_moved" });
}

describeUnless(needsLinux(), "while nothing is delivered", () => {
  testInFullRun("files that are gone are noticed within about a second", async () => {
    await using inbox = await testInbox();
    expect(await statusOrError(inbox, 1)).toBe(200);
    rmSync(`${inbox.databasePath}-wal`);
    await ended(inbox);
  });

  testInFullRun("an old copy put in place after a checkpoint is noticed", async () => {
    await using inbox = await testInbox();
    const { databasePath } = inbox;
    Bun.spawnSync(["cp", databasePath, `${databasePath}.old`]);
    for (let n = 0; n < 5; n++) expect(await statusOrError(inbox, n)).toBe(200);
    inbox.rows("pragma wal_checkpoint(passive)");
    await Bun.sleep(1200);
    Bun.spawnSync(["cp", `${databasePath}.old`, databasePath]);
    await ended(inbox);
  });

  testInFullRun("the next delivery notices it before it restarts a log that was moved whole", async () => {
    await using inbox = await testInbox();
    const { databasePath } = inbox;
    Bun.spawnSync(["cp", databasePath, `${databasePath}.old`]);
    for (let n = 0; n < 5; n++) expect(await statusOrError(inbox, n)).toBe(200);
    inbox.rows("pragma wal_checkpoint(passive)");
    expect((await inbox.request("/readyz?within=0")).status).toBe(200);
    inbox.rows("pragma wal_checkpoint(passive)");
    await Bun.sleep(1200);
    Bun.spawnSync(["cp", `${databasePath}.old`, databasePath]);
    expect(await statusOrError(inbox, 9)).toContain(
      `the database ${databasePath} was truncated or overwritten`,
    );
  });
});

describe("while the files are in place", () => {
  test("a log that another process moves into the database, and a reader, change nothing", async () => {
    await using inbox = await testInbox();
    for (let n = 0; n < 5; n++) {
      expect(await statusOrError(inbox, n)).toBe(200);
      inbox.rows("pragma wal_checkpoint(truncate)");
    }
    expect(inbox.fatal).toEqual([]);
  });

  test("nor do a checkpoint of another process, its writes, and a new time of the files", async () => {
    await using inbox = await testInbox();
    const { databasePath } = inbox;
    inbox.rows("create table theirs (n)");
    for (let n = 0; n < 6; n++) {
      expect(await statusOrError(inbox, n)).toBe(200);
      inbox.rows(`insert into theirs values (${n})`);
      if (n % 2 === 0) inbox.rows(`pragma wal_checkpoint(${n === 2 ? "restart" : "passive"})`);
      else for (const suffix of ["", "-wal", "-shm"]) utimesSync(databasePath + suffix, n, n);
    }
    expect(inbox.fatal).toEqual([]);
  });

  // SQLite then locks the byte before the one that shows whether the locks are held, and the kernel joins both.
  test("nor do readers that hold all other places in the index", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql": "create table effects (id text) strict;",
        "handlers/default/_any.ts": `import { handler } from "hookonce";
          export default handler(({ event, db }) => {
            db.$client.run("insert into effects values (?)", event.id);
          });`,
      },
    });
    const readers: Database[] = [];
    for (let n = 0; n < 8; n++) {
      expect(await statusOrError(inbox, n)).toBe(200);
      const reader = new Database(inbox.databasePath, { readonly: true });
      reader.run("begin");
      reader.query("select count(*) from effects").all();
      readers.push(reader);
    }
    expect(inbox.value("select count(*) from effects")).toBe(8);
    for (const reader of readers) reader.close(true);
    expect(inbox.fatal).toEqual([]);
  });

  test("a stop reports a log that was truncated, and does not move it into the database", async () => {
    await using inbox = await testInbox();
    expect(await statusOrError(inbox, 1)).toBe(200);
    truncateSync(`${inbox.databasePath}-wal`);
    await inbox.close();
    expect(inbox.fatal).toEqual([expect.objectContaining({ code: "database_moved" })]);
  });

  test("/readyz ends the process as a delivery does if they are gone", async () => {
    await using inbox = await testInbox();
    expect((await inbox.request("/readyz?within=0")).status).toBe(200);
    rmSync(`${inbox.databasePath}-wal`);
    expect((await inbox.request("/readyz?within=0")).status).toBe(503);
    expect(inbox.fatal).toEqual([expect.objectContaining({ code: "database_moved" })]);
  });

  test("a stop reports files that are gone", async () => {
    await using inbox = await testInbox();
    expect(await statusOrError(inbox, 1)).toBe(200);
    renameSync(inbox.databasePath, `${inbox.databasePath}.old`);
    await inbox.close();
    expect(inbox.fatal).toEqual([expect.objectContaining({ code: "database_moved" })]);
  });
});
