import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyBeforeMigration } from "../../../src/engines/sqlite/backup.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { HookonceError } from "../../../src/errors.ts";
import {
  needsCommand,
  needsLinux,
  onlyInFullRun,
  testUnless,
  testInFullRun,
} from "../../crash/requirements.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const COPY = "app.db.before-0001-1970-01-01T00-00-00-000Z";

const copyOnce = (path: string, under: readonly string[] = []): Bun.Subprocess<"ignore", "ignore", "pipe"> =>
  Bun.spawn([...under, process.execPath, join(import.meta.dir, "copy-once.ts"), path, "0001.sql"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });

/** A folder with a database of this many MiB. */
function folderWith(mebibytes: number): Disposable & { path: string; folder: string; names(): string[] } {
  const folder = temporaryFolder("backup", 4 * mebibytes);
  const path = join(folder, "app.db");
  const { connection } = openDatabase(path);
  connection.run("create table t (n integer primary key, b blob)");
  const insert = connection.query("insert into t (b) values (zeroblob(1048576))");
  for (let n = 0; n < mebibytes; n++) insert.run();
  connection.close(true);
  return {
    path,
    folder,
    names: () => readdirSync(folder).filter((name) => !/^app\.db(?:-wal|-shm)?$/.test(name)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

function rowsIn(path: string): unknown {
  using db = new Database(path, { readonly: true });
  expect(db.prepare("pragma integrity_check").values()).toEqual([["ok"]]);
  return db.prepare("select count(*) from t").values()[0]?.[0];
}

describe("the copy before a migration", () => {
  testInFullRun(
    "is never left incomplete under its name by a kill, and the next one removes what is left",
    async () => {
      const MEBIBYTES = 32;
      using it = folderWith(MEBIBYTES);
      const unfinished = `${it.path}.copying`;
      let interrupted = 0;
      for (let round = 0; round < 50 && interrupted < 5; round++) {
        const copier = copyOnce(it.path);
        // Wait for a part of the copy, which is larger each time.
        const size = (): number => statSync(unfinished, { throwIfNoEntry: false })?.size ?? 0;
        while (copier.exitCode === null && size() <= interrupted * 5 * 1024 * 1024) await Bun.sleep(0);
        copier.kill("SIGKILL");
        await copier.exited;
        if (it.names().includes(COPY)) {
          expect(rowsIn(join(it.folder, COPY))).toBe(MEBIBYTES);
          rmSync(join(it.folder, COPY));
        } else {
          interrupted++;
        }
      }
      expect(interrupted).toBe(5);
      writeFileSync(`${unfinished}-journal`, "of an interrupted copy");
      const copier = copyOnce(it.path);
      expect([await copier.exited, await copier.stderr.text()]).toEqual([0, ""]);
      expect(it.names()).toEqual([COPY]);
      expect(rowsIn(join(it.folder, COPY))).toBe(MEBIBYTES);
      expect(statSync(join(it.folder, COPY)).mode & 0o777).toBe(0o600);
    },
    60_000,
  );

  test("replaces nothing, not even a dangling link, and leaves nothing unfinished", () => {
    using it = folderWith(1);
    symlinkSync("nowhere", join(it.folder, COPY));
    const { connection } = openDatabase(it.path);
    expect(() => copyBeforeMigration(connection, it.path, "0001.sql", 0)).toThrow(/exists already/);
    expect(it.names()).toEqual([COPY]);
    rmSync(join(it.folder, COPY));
    const copy = copyBeforeMigration(connection, it.path, "0001.sql", 0);
    expect(() => copyBeforeMigration(connection, it.path, "0001.sql", 0)).toThrow(HookonceError);
    copy.discard();
    expect(it.names()).toEqual([]);
    connection.close(true);
  });

  const reason = onlyInFullRun() ?? needsLinux() ?? needsCommand("strace");
  testUnless(
    reason,
    "is made on a file system without hard links, too",
    async () => {
      using it = folderWith(1);
      const strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=link,linkat:error=EPERM"];
      const copier = copyOnce(it.path, strace);
      expect([await copier.exited, await copier.stderr.text()]).toEqual([0, ""]);
      expect(it.names()).toEqual([COPY]);
      expect(rowsIn(join(it.folder, COPY))).toBe(1);
      const again = copyOnce(it.path, strace);
      expect(await again.exited).toBe(1);
      expect(await again.stderr.text()).toContain("exists already");
    },
    30_000,
  );

  for (const call of ["fsync", "link,linkat"])
    testUnless(
      reason,
      `is refused, and nothing is left, if ${call} fails`,
      async () => {
        using it = folderWith(1);
        const copier = copyOnce(it.path, [
          "strace",
          "-f",
          "-o",
          "/dev/null",
          "-P",
          `${it.path}.copying`,
          "-e",
          `inject=${call}:error=EIO`,
        ]);
        expect(await copier.exited).toBe(1);
        expect(await copier.stderr.text()).toContain("Nothing was migrated");
        expect(it.names()).toEqual([]);
      },
      30_000,
    );
});
