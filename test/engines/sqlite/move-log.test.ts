import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { moveLog } from "../../../src/engines/sqlite/move-log.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { testInFullRun as test } from "../../crash/requirements.ts";

function withDatabase(work: (connection: Database, path: string) => void): void {
  const folder = temporaryFolder("move-log");
  const path = join(folder, "a.db");
  const { connection } = openDatabase(path);
  connection.run("create table t (n integer, filler blob)");
  for (let n = 0; n < 300; n++) connection.run("insert into t values (?, zeroblob(5000))", [n]);
  try {
    work(connection, path);
  } finally {
    connection.close(true);
    rmSync(folder, { recursive: true });
  }
}

const count = (connection: Database): unknown =>
  connection.prepare("select count(*), (select integrity_check from pragma_integrity_check) from t").values();

test("moves the log into the database and empties it", () =>
  withDatabase((connection, path) => {
    expect(moveLog(connection)).toBe(true);
    expect(statSync(`${path}-wal`).size).toBe(0);
    using alone = new Database(path, { readonly: true });
    expect(count(alone)).toEqual([[300, "ok"]]);
  }));

test("writes the log again if a reader holds a part of it back, and changes nothing in it", () =>
  withDatabase((connection, path) => {
    const reader = new Database(path, { readonly: true });
    reader.run("begin");
    reader.prepare("select count(*) from t").values();
    connection.run("insert into t values (1000, zeroblob(2000000))");
    const before = Bun.spawnSync(["sha256sum", `${path}-wal`]).stdout.toString();
    expect(moveLog(connection)).toBe(false);
    expect(Bun.spawnSync(["sha256sum", `${path}-wal`]).stdout.toString()).toBe(before);
    expect(connection.prepare("pragma busy_timeout").values()).toEqual([[0]]);
    expect(connection.inTransaction).toBe(false);
    expect(count(connection)).toEqual([[301, "ok"]]);
    expect(count(reader)).toEqual([[300, "ok"]]);
    reader.run("rollback");
    reader.close();
    expect(moveLog(connection)).toBe(true);
    expect(count(connection)).toEqual([[301, "ok"]]);
  }));

test("is refused while another process holds the write lock", () =>
  withDatabase((connection, path) => {
    using other = new Database(path);
    other.run("begin immediate");
    expect(() => moveLog(connection)).toThrow("database is locked");
    other.run("rollback");
    expect(moveLog(connection)).toBe(true);
  }));
