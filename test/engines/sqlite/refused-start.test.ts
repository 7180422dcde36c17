import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { migrate, userSet } from "../../../src/engines/sqlite/migrations.ts";
import { refusingStart } from "../../../src/engines/sqlite/sqlite-error.ts";
import { refusalOf, testInbox } from "../../support/test-inbox.ts";
import { describeUnless, onlyInFullRun } from "../../crash/requirements.ts";

const pending = { "migrations/0001.sql": "create table t (n integer) strict;" };

describeUnless(onlyInFullRun(), "a start that cannot write is refused with a code and what to do", () => {
  for (const [name, files] of Object.entries({ "to migrate": pending, "to compare its sources": {} })) {
    test(`while somebody has the write lock, ${name}`, async () => {
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

    test(`on a database that cannot be written, ${name}`, async () => {
      await using inbox = await testInbox();
      await inbox.close();
      // A write version that SQLite does not know makes it read-only, for root too (https://sqlite.org/fileformat2.html).
      const bytes = readFileSync(inbox.databasePath);
      bytes[18] = 3;
      writeFileSync(inbox.databasePath, bytes);
      const error = await refusalOf(() => inbox.restart({ files }));
      expect(error.code).toBe("database_unusable");
      expect(error.message).toContain(inbox.databasePath);
      expect(error.message).toContain("readonly");
    });
  }

  test("with a disk that is full halfway through a migration: disk_full, and not the migration's fault", async () => {
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
