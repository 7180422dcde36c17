import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { eventQueries } from "../../../src/engines/sqlite/event-queries.macro.ts";
import { createEventStore } from "../../../src/engines/sqlite/events.ts";
import { failureQueries } from "../../../src/engines/sqlite/failure-queries.macro.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import type { Query } from "../../../src/engines/sqlite/statement.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** The first stop counts the rows that there are (`pragma optimize`): one, perhaps. A million more may come before the next. */
test("no statement of a delivery's looks through a table, whatever SQLite has counted", () => {
  const folder = temporaryFolder("plans");
  const { connection } = openDatabase(join(folder, "a.db"));
  try {
    migrate(connection, ownSet(ownMigrations), 1);
    const store = createEventStore(connection);
    store.add({
      source: "default",
      eventId: "evt_1",
      type: "",
      outcome: "processed",
      handler: null,
      receivedAt: 1,
      lastDeliveryAt: 1,
      deliveries: 1,
      bodySha256: new Uint8Array(32),
    });
    store.keepDelivery({ receivedAt: 1, headers: "{}", body: new Uint8Array(1) });
    connection.run("analyze");
    expect(connection.prepare("select count(*) from sqlite_stat1").values()[0]?.[0]).toBeGreaterThan(0);
    const { several, ...one } = eventQueries();
    const queries: Query[] = [
      ...Object.values(one),
      ...several.flatMap((some) => Object.values(some)),
      ...Object.values(failureQueries()),
    ];
    const scans = queries.flatMap(({ sql }) =>
      connection
        .prepare(`explain query plan ${sql}`)
        .values()
        .map((row) => String(row[3]))
        .filter((detail) =>
          /^SCAN hookonce_(?!failures USING (?:COVERING )?INDEX hookonce_failures_open)/.test(detail),
        )
        .map((detail) => `${detail}: ${sql}`),
    );
    expect(scans).toEqual([]);
  } finally {
    connection.close(true);
    rmSync(folder, { recursive: true });
  }
});
