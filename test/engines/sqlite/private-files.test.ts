import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { lockDatabase } from "../../../src/engines/sqlite/lock.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { testInbox } from "../../support/test-inbox.ts";

/** The permissions of each file in a folder. */
function modesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder).map(
    (name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)] as const,
  );
  return Object.fromEntries(files.filter(([name]) => statSync(join(folder, name)).isFile()));
}

describe.skipIf(process.platform === "win32")("with a umask of 0 and a folder that is open to all", () => {
  let umask = 0;
  beforeEach(() => {
    umask = process.umask(0);
  });
  afterEach(() => {
    process.umask(umask);
  });

  test("the database, its log, its index and the files of its lock are 0600", async () => {
    const folder = temporaryFolder("private");
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o777 });
    await using inbox = await testInbox({ config: `database = "${data}/hookonce.db"\n${SOURCE}` });
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).status).toBe(200);
    const waiting = lockDatabase(join(data, "hookonce.db"), { waitMs: 60 });
    await Bun.sleep(20);
    expect(modesIn(data)).toEqual({
      "hookonce.db": "600",
      "hookonce.db-shm": "600",
      "hookonce.db-wal": "600",
      "hookonce.db.lock": "600",
      "hookonce.db.lock-journal": "600",
      "hookonce.db.lock.txt": "600",
      "hookonce.db.lock.wanted": "600",
    });
    await waiting.catch(() => {});
    rmSync(folder, { recursive: true });
  });

  test("in an application's database, log and index have its mode, and the copy and the lock are 0600", async () => {
    const folder = temporaryFolder("private");
    const path = join(folder, "app.db");
    {
      using app = new Database(path);
      app.run("pragma journal_mode = wal");
      app.run("create table customers (id integer primary key)");
    }
    chmodSync(path, 0o660);
    await using inbox = await testInbox({ config: `database = "${path}"\n${SOURCE}` });
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).status).toBe(200);
    const modes = modesIn(dirname(path));
    const copy = Object.keys(modes).find((name) => name.includes(".before-")) as string;
    expect(modes).toEqual({
      "app.db": "660",
      "app.db-shm": "660",
      "app.db-wal": "660",
      [copy]: "600",
      "app.db.lock": "600",
      "app.db.lock-journal": "600",
      "app.db.lock.txt": "600",
    });
    rmSync(folder, { recursive: true });
  });
});

const SOURCE = '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\n';
