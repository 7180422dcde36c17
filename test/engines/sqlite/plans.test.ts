import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { SQL } from "../../../src/engines/sqlite/delivery-statements.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/**
 * The first stop counts the rows that exist (`pragma optimize`): perhaps one. A million more may come before
 * the next.
 */
test("no statement of a delivery scans a table, even if SQLite has counted one row in each", () => {
  const folder = temporaryFolder("plans");
  const { connection } = openDatabase(join(folder, "a.db"));
  try {
    migrate(connection, ownSet(ownMigrations), 1);
    const body = new Uint8Array(32);
    connection.prepare(SQL.insertEvent).values("default", "evt_1", "", 1, "processed", null, 1, 1, body);
    connection.prepare(SQL.insertBody).run(1, "{}", body, body);
    connection.prepare(SQL.insertResult).run(1, 1, 0, 0, null, null);
    connection.prepare(SQL.insertDelivery).run("default", "evt_1", 1, 1, "processed", 0);
    connection.prepare(SQL.keepChangedBody).run(1, 1, "{}", body);
    connection.run("analyze");
    expect(connection.prepare("select count(*) from sqlite_stat1").values()[0]?.[0]).toBeGreaterThan(4);
    const scans = Object.values(SQL).flatMap((sql) =>
      connection
        .prepare(`explain query plan ${sql}`)
        .values()
        .map((row) => String(row[3]))
        .filter((detail) =>
          /^SCAN hookonce_(?!failures USING (?:COVERING )?INDEX hookonce_failures_(?:open|newest))/.test(
            detail,
          ),
        )
        .map((detail) => `${detail}: ${sql}`),
    );
    expect(scans).toEqual([]);
  } finally {
    connection.close(true);
    rmSync(folder, { recursive: true });
  }
});
