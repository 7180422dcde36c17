import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { openForReading } from "../../../src/engines/sqlite/start.ts";
import { migrate, userSet } from "../../../src/engines/sqlite/migrations.ts";
import { refusingStart } from "../../../src/engines/sqlite/sqlite-error.ts";
import { refusalOf, testInbox } from "../../support/test-inbox.ts";
import { describeUnless, onlyInFullRun } from "../../crash/requirements.ts";

const pending = { "migrations/0001.sql": "create table t (n integer) strict;" };

describeUnless(onlyInFullRun(), "a start that cannot write is refused with a code and the remedy", () => {
  for (const [name, files] of Object.entries({
    "while migrating": pending,
    "while comparing its sources": {},
  })) {
    test(`if another process holds the write lock, ${name}`, async () => {
      await using inbox = await testInbox();
      await inbox.close();
      using other = new Database(inbox.databasePath, { strict: true });
      other.run("begin immediate");
      const error = await refusalOf(() => inbox.restart({ files }));
      expect(error.code).toBe("database_locked");
      expect(error.message).toContain(inbox.databasePath);
      expect(error.message).toContain("start again");
      other.run("rollback");
      await inbox.restart();
    }, 20_000);

    test(`if the database cannot be written, ${name}`, async () => {
      await using inbox = await testInbox();
      await inbox.close();
      // An unknown write version makes the database read-only, even for root
      // (https://sqlite.org/fileformat2.html).
      const bytes = readFileSync(inbox.databasePath);
      bytes[18] = 3;
      writeFileSync(inbox.databasePath, bytes);
      const error = await refusalOf(() => inbox.restart({ files }));
      expect(error.code).toBe("database_unusable");
      expect(error.message).toContain(inbox.databasePath);
      expect(error.message).toContain("readonly");
    });
  }

  test("if the database is damaged: the error says what to put in its place, and what to move away", async () => {
    await using inbox = await testInbox();
    const tables = inbox.rows("select rootpage from sqlite_schema where rootpage > 1") as {
      rootpage: number;
    }[];
    await inbox.close();
    const bytes = readFileSync(inbox.databasePath);
    for (const { rootpage: page } of tables) bytes.fill(0xff, (page - 1) * 4096, page * 4096);
    writeFileSync(inbox.databasePath, bytes);
    for (const use of [() => inbox.restart(), () => openForReading(inbox.databasePath)]) {
      const error = await refusalOf(use);
      expect(error.code).toBe("database_unusable");
      expect(error.message).toContain(`The database ${inbox.databasePath} is damaged: `);
    }
    const error = await refusalOf(() => inbox.restart());
    expect(error.message).toContain(
      `move ${inbox.databasePath}-wal and ${inbox.databasePath}-shm away. If you have just put a backup`,
    );
  });

  test("if the disk fills up during a migration: disk_full, not migration_failed", async () => {
    using db = new Database(":memory:", { strict: true });
    db.run("pragma max_page_count = 20");
    const sql = "create table t (n blob) strict;\ninsert into t values (zeroblob(1000000));";
    const error = await refusalOf(() =>
      refusingStart("the.db", () => migrate(db, userSet([{ name: "0001.sql", sql }]), 0)),
    );
    expect(error.code).toBe("disk_full");
    expect(db.prepare("select name from sqlite_schema where name = 't'").all()).toEqual([]);
  });
});
