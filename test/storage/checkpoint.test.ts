import type { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCheckpoint } from "../../src/storage/checkpoint.ts";
import { openDatabase } from "../../src/storage/open.ts";

/** A clock that moves on, each time it is asked, by what a checkpoint is to take. */
function checkpoints(connection: Database) {
  const time = { now: 0, tookMs: 10 };
  const checkpoint = createCheckpoint(connection, () => {
    time.now += time.tookMs;
    return time.now;
  });
  const fill = connection.prepare("insert into filler (bytes) values (zeroblob(4000))");
  return {
    /** How many pages the log holds when a checkpoint is due; it is then made, and takes `tookMs`. */
    pagesUntilDue: (tookMs: number): number => {
      time.tookMs = tookMs;
      while (!checkpoint.due()) fill.run();
      const [, logged] = connection.prepare("pragma wal_checkpoint(noop)").values()[0] as [number, number];
      checkpoint.run();
      return logged;
    },
  };
}

function around(pages: number, wanted: number): void {
  expect(pages).toBeGreaterThanOrEqual(wanted);
  expect(pages).toBeLessThan(wanted + 10);
}

test("what takes long is done more often, with less to do, and the other way round", () => {
  const folder = mkdtempSync(join(tmpdir(), "hookonce-checkpoint-"));
  const { connection } = openDatabase(join(folder, "a.db"));
  try {
    connection.run("create table filler (bytes blob)");
    const { pagesUntilDue } = checkpoints(connection);
    around(pagesUntilDue(10), 1000); // neither long nor short
    around(pagesUntilDue(100), 1000);
    around(pagesUntilDue(100), 500);
    around(pagesUntilDue(100), 250);
    around(pagesUntilDue(100), 125);
    around(pagesUntilDue(1), 125); // no less than this
    around(pagesUntilDue(10), 250);
    around(pagesUntilDue(1), 250);
    around(pagesUntilDue(1), 500);
    around(pagesUntilDue(1), 1000);
    around(pagesUntilDue(1), 1000); // and no more than that
  } finally {
    connection.close();
    rmSync(folder, { recursive: true });
  }
});
