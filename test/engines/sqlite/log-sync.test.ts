import type { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { descriptorsOf } from "../../../src/engines/sqlite/descriptors.ts";
import { takeOverLogSync } from "../../../src/engines/sqlite/log-sync.ts";
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

  test("is taken out of COMMIT, and can be waited for here and beside", async () => {
    const { connection } = writer();
    const sync = takeOverLogSync(connection);
    expect(readPragma(connection, "synchronous")).toBe(NORMAL);
    connection.run("insert into effects values (1)");
    expect(sync?.now()).toBeUndefined();
    expect(await sync?.beside()).toBeUndefined();
  });

  test("stays as it is where nobody asked for FULL", () => {
    const { connection } = writer({ synchronous: "NORMAL" });
    expect(takeOverLogSync(connection)).toBeUndefined();
  });

  test("stays in COMMIT when it cannot be told which descriptor is the writer's", () => {
    const { path, connection } = writer();
    const other = openDatabase(path).connection;
    other.prepare("select * from effects").values();
    expect(takeOverLogSync(connection)).toBeUndefined();
    expect(readPragma(connection, "synchronous")).toBe(FULL);
    other.close(true);
    expect(takeOverLogSync(connection)).toBeDefined();
  });

  test("is taken over on a database that was looked at before the start", () => {
    const { path, connection } = writer();
    const wal = `${path}-wal`;
    expect(descriptorsOf(wal)).toHaveLength(1);
    const { connection: rehearsed } = rehearse(path, { durations: false });
    rehearsed.close(true);
    expect(descriptorsOf(wal)).toHaveLength(1);
    expect(takeOverLogSync(connection)).toBeDefined();
  });
});
