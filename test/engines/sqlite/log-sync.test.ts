import type { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { takeOverLogSync, type LogSync } from "../../../src/engines/sqlite/log-sync.ts";
import { openDatabase, readPragma, type OpenOptions } from "../../../src/engines/sqlite/open.ts";
import { rehearse } from "../../../src/engines/sqlite/rehearsal.ts";
import { describeUnless, needsLinux } from "../../crash/requirements.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const NORMAL = 1;
const FULL = 2;

describeUnless(needsLinux(), "the sync of the write-ahead log", () => {
  const opened: Disposable[] = [];
  afterEach(() => {
    for (const one of opened.splice(0)) one[Symbol.dispose]();
  });

  function writer(options: OpenOptions = {}): { path: string; connection: Database } {
    const folder = temporaryFolder("log-sync");
    const path = join(folder, "hookonce.db");
    const { connection } = openDatabase(path, options);
    opened.push({
      [Symbol.dispose]() {
        connection.close(true);
        rmSync(folder, { recursive: true });
      },
    });
    connection.run("create table effects (n)");
    return { path, connection };
  }

  test("is taken out of COMMIT, and can be awaited or done at once", async () => {
    const { connection } = writer();
    const sync = takeOverLogSync(connection) as LogSync;
    expect(readPragma(connection, "synchronous")).toBe(NORMAL);
    connection.run("insert into effects values (1)");
    expect(sync.now()).toBeUndefined();
    expect(await sync.beside()).toBeUndefined();
  });

  test("stays in COMMIT if synchronous is not FULL", () => {
    const { connection } = writer({ synchronous: "NORMAL" });
    expect(takeOverLogSync(connection)).toEqual({ reason: "synchronous is not FULL" });
  });

  test("stays in COMMIT and says why if two connections have the log open", () => {
    const { path, connection } = writer();
    const other = openDatabase(path).connection;
    other.prepare("select * from effects").values();
    expect(takeOverLogSync(connection)).toEqual({
      reason: expect.stringContaining("2 descriptors of the write-ahead log") as string,
    });
    expect(readPragma(connection, "synchronous")).toBe(FULL);
    other.close(true);
    expect(takeOverLogSync(connection)).toHaveProperty("beside");
  });

  test("is taken out of COMMIT on a database that a rehearsal has read before", () => {
    const { path, connection } = writer();
    const { connection: rehearsed } = rehearse(path, { durations: false });
    rehearsed.close(true);
    expect(takeOverLogSync(connection)).toHaveProperty("beside");
  });
});
