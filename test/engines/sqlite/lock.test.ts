import { describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { lockFile } from "../../../src/engines/sqlite/file-lock.ts";
import { lockDatabase } from "../../../src/engines/sqlite/lock.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { refusalOf, testInbox } from "../../support/test-inbox.ts";

interface Scratch extends Disposable {
  readonly database: string;
}

function scratch(): Scratch {
  const path = temporaryFolder("lock");
  return {
    database: join(path, "data/hookonce.db"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

describe("the serve lock of a database", () => {
  test("refuses a second serve and names the holder", async () => {
    using folder = scratch();
    const lock = await lockDatabase(folder.database);
    const waited: string[] = [];
    const error = await refusalOf(() =>
      lockDatabase(folder.database, { waitMs: 0, onWait: (holder) => void waited.push(holder) }),
    );
    expect(error.code).toBe("database_in_use");
    expect(error.message).toStartWith(
      `The database ${folder.database} is in use by another hookonce (process ${process.pid} on ${hostname()} since 2`,
    );
    expect(error.message).toContain("Stop that process, or set database to another file.");
    // A lock that does not wait does not call onWait.
    expect(waited).toEqual([]);

    lock.release();
    (await lockDatabase(folder.database, { waitMs: 0 })).release();
  });

  test("waits for the holder to end, reports the wait once, and is then taken", async () => {
    using folder = scratch();
    const first = await lockDatabase(folder.database);
    const waited: string[] = [];
    const second = lockDatabase(folder.database, {
      waitMs: 5000,
      onWait: (holder) => void waited.push(holder),
    });
    await Bun.sleep(120);
    expect(waited).toEqual([expect.stringContaining(`process ${process.pid} on`) as string]);
    first.release();
    const lock = await second;
    expect((await refusalOf(() => lockDatabase(folder.database, { waitMs: 0 }))).code).toBe(
      "database_in_use",
    );
    lock.release();
  });

  test("is one lock for all names of a database, even if a link leads to one that does not exist yet", async () => {
    using folder = scratch();
    const { database } = folder;
    mkdirSync(dirname(database));
    symlinkSync("second.db", join(dirname(database), "first.db"));
    symlinkSync("hookonce.db", join(dirname(database), "second.db"));
    const lock = await lockDatabase(join(dirname(database), "first.db"));
    writeFileSync(database, "");
    for (const name of ["first.db", "second.db", "hookonce.db"]) {
      const path = join(dirname(database), name);
      expect((await refusalOf(() => lockDatabase(path, { waitMs: 0 }))).code).toBe("database_in_use");
    }
    lock.release();
  });

  test("is found through a relative link in a folder that is itself a link", async () => {
    using folder = scratch();
    const root = dirname(dirname(folder.database));
    mkdirSync(join(root, "disk/app"), { recursive: true });
    symlinkSync("disk/app", join(root, "data"));
    symlinkSync("../real.db", join(root, "data/hookonce.db"));
    const lock = await lockDatabase(folder.database);
    const error = await refusalOf(() => lockDatabase(join(root, "disk/real.db"), { waitMs: 0 }));
    expect(error.code).toBe("database_in_use");
    lock.release();
  });

  test.skipIf(process.platform !== "linux")("is a lock on the file, whatever its name is", async () => {
    using folder = scratch();
    const { database } = folder;
    const lock = await lockDatabase(database);
    linkSync(database, `${database}.hard-link`);
    const linked = await refusalOf(() => lockDatabase(`${database}.hard-link`, { waitMs: 0 }));
    expect(linked.code).toBe("database_in_use");
    if (process.platform === "linux") expect(linked.message).toContain(`(process ${process.pid})`);
    renameSync(database, `${database}.moved`);
    expect((await refusalOf(() => lockDatabase(`${database}.moved`, { waitMs: 0 }))).code).toBe(
      "database_in_use",
    );
    lock.release();
    (await lockDatabase(`${database}.moved`, { waitMs: 0 })).release();
  });

  test("refuses a second name on systems that cannot lock the file itself", () => {
    using folder = scratch();
    const { database } = folder;
    mkdirSync(dirname(database));
    lockFile(database, "darwin")?.release();
    expect(existsSync(database)).toBe(false);
    writeFileSync(database, "");
    lockFile(database, "darwin")?.release();
    linkSync(database, `${database}.hard-link`);
    expect(() => lockFile(database, "darwin")).toThrow("a second name (a hard link)");
  });

  test("says to delete a lock file that is damaged", async () => {
    using folder = scratch();
    mkdirSync(dirname(folder.database));
    writeFileSync(`${folder.database}.lock`, Buffer.alloc(5000, 7));
    const error = await refusalOf(() => lockDatabase(folder.database));
    expect(error.code).toBe("database_unusable");
    expect(error.message).toContain(`The lock file ${folder.database}.lock is damaged`);
    expect(error.message).toContain("delete the file");
  });

  test("leaves no database behind if nothing was written to it, and one that exists as it is", async () => {
    using folder = scratch();
    const { database } = folder;
    const lock = await lockDatabase(database);
    expect(statSync(database).size).toBe(0);
    lock.release();
    expect(existsSync(database)).toBe(false);
    writeFileSync(database, "");
    (await lockDatabase(database)).release();
    expect(existsSync(database)).toBe(true);
  });

  test("is held by one of several waiting processes at a time", async () => {
    using folder = scratch();
    const first = await lockDatabase(folder.database);
    let holders = 0;
    let most = 0;
    const waiting = Array.from({ length: 4 }, async () => {
      const lock = await lockDatabase(folder.database, { waitMs: 5000 });
      most = Math.max(most, ++holders);
      await Bun.sleep(1);
      holders--;
      lock.release();
    });
    first.release();
    await Promise.all(waiting);
    expect(most).toBe(1);
  });

  test("is separate for each database", async () => {
    using one = scratch();
    using other = scratch();
    const first = await lockDatabase(one.database);
    const second = await lockDatabase(other.database, { waitMs: 0 });
    first.release();
    second.release();
  });

  test("is released when the holder is killed", async () => {
    using folder = scratch();
    // The child also ends with its standard input, in case this test fails before it kills the child.
    const script = `import { lockDatabase } from ${JSON.stringify(join(import.meta.dir, "../../../src/engines/sqlite/lock.ts"))};
      const lock = await lockDatabase(${JSON.stringify(folder.database)});
      console.log("locked");
      await Bun.stdin.text();
      lock.release();`;
    await using child = Bun.spawn({
      cmd: [process.execPath, "-e", script],
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await child.stdout.getReader().read();
    expect(Buffer.from(value ?? []).toString()).toBe("locked\n");
    const error = await refusalOf(() => lockDatabase(folder.database, { waitMs: 0 }));
    expect(error.message).toContain(`process ${child.pid} on `);
    child.kill("SIGKILL");
    await child.exited;
    (await lockDatabase(folder.database, { waitMs: 0 })).release();
  });

  test("is held by an inbox until it closes, and released by a refused start", async () => {
    await using inbox = await testInbox();
    const { databasePath } = inbox;
    expect((await refusalOf(() => lockDatabase(databasePath, { waitMs: 0 }))).code).toBe("database_in_use");
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).status).toBe(200);
    await inbox.close();
    (await lockDatabase(databasePath, { waitMs: 0 })).release();

    inbox.rows("insert into hookonce_migrations values ('9999_newer.sql', 'x', 1)");
    await refusalOf(() => inbox.restart());
    (await lockDatabase(databasePath, { waitMs: 0 })).release();
  });
});
