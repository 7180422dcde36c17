import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createCheckpoint } from "../../../src/engines/sqlite/checkpoint.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { testInFullRun } from "../../crash/requirements.ts";

const PAGE = 4096;

/** A writer that fills pages and, like the inbox, checks after each commit whether a checkpoint is due. */
async function writer(folder: string) {
  const path = join(folder, "a.db");
  const { connection } = openDatabase(path);
  connection.run("create table filler (id integer primary key, bytes blob)");
  const checkpoint = createCheckpoint(connection, (error) => {
    throw error;
  });
  const fill = connection.prepare("insert into filler (bytes) values (zeroblob(4000))");
  const look = connection.prepare("pragma wal_checkpoint(noop)");
  let written = 0;
  /** Writes this many pages, 50 per commit. */
  async function write(pages: number): Promise<void> {
    for (const until = written + pages; written < until;) {
      connection.run("begin immediate");
      for (let n = 0; n < 50; n++, written++) fill.run();
      connection.run("commit");
      if (checkpoint.due()) checkpoint.run();
      await Bun.sleep(0);
    }
  }
  function log(): { pages: number; moved: number } {
    const [, pages, moved] = look.values()[0] as [number, number, number];
    return { pages, moved };
  }
  return {
    path,
    write,
    /**
     * Writes this many pages, but more slowly while the thread is behind. On a busy machine the thread gets
     * little of the processor, because it has a lower priority.
     */
    async writeInStep(pages: number): Promise<void> {
      for (const until = written + pages; written < until;) {
        await write(50);
        const { pages, moved } = log();
        if (pages - moved > 8000) await Bun.sleep(20);
      }
    },
    log,
    /** The number of rows in the table, and the number written. */
    count: (): [number, number] => [
      connection.prepare("select count(*) from filler").values()[0]?.[0] as number,
      written,
    ],
    async [Symbol.asyncDispose]() {
      await checkpoint.close();
      fill.finalize();
      look.finalize();
      connection.close();
    },
  };
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder("checkpoint", 400);
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

testInFullRun(
  "a thread moves the log while the writer continues, and SQLite restarts the log",
  () =>
    inFolder(async (folder) => {
      await using one = await writer(folder);
      await one.write(2500);
      expect(one.log().moved).toBe(0);
      // More pages than the log may hold, including those of indexes and free lists.
      await one.writeInStep(45_000);
      const { pages } = one.log();
      expect(pages).toBeLessThan(40_000);
      expect(statSync(`${one.path}-wal`).size).toBeLessThan(40_000 * PAGE);
      expect(statSync(one.path).size).toBeGreaterThan(20_000 * PAGE);
      const [there, written] = one.count();
      expect(there).toBe(written);
    }),
  60_000,
);

/**
 * This process's worker threads with lowered priority. Their garbage collection threads have it too, and
 * outlive them.
 */
function givingWay(): string[] {
  return readdirSync("/proc/self/task").filter((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    // The nice value is the 19th field. The second field, a name in parentheses, may contain spaces.
    return stat.includes("(Worker)") && stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16] === "10";
  });
}

test.skipIf(process.platform !== "linux")("the thread runs with a lower priority than the writer", () =>
  inFolder(async (folder) => {
    // Wait for the threads of other tests to end. A new thread may get the id of an old one.
    while (givingWay().length > 0) await Bun.sleep(10);
    await using one = await writer(folder);
    await one.write(4000);
    while (one.log().moved === 0) await one.write(50);
    expect(givingWay()).toHaveLength(1);
    expect(givingWay()).not.toContain(String(process.pid));
  }),
);

testInFullRun(
  "a reader delays the checkpoint only as long as it reads",
  () =>
    inFolder(async (folder) => {
      await using one = await writer(folder);
      await one.write(50);
      const reader = new Database(one.path, { readonly: true });
      reader.run("begin");
      reader.prepare("select count(*) from filler").values();
      await one.write(9000);
      const held = one.log();
      expect(held.pages).toBeGreaterThan(9000);
      expect(held.moved).toBeLessThan(1000);
      reader.run("rollback");
      reader.close();
      // SQLite restarts the log after a while. How soon depends on the disk.
      let { pages } = held;
      let startedAnew = false;
      for (let written = 0; written < 60_000 && !startedAnew; written += 500) {
        await one.writeInStep(500);
        startedAnew = one.log().pages < pages;
        ({ pages } = one.log());
      }
      expect(startedAnew).toBe(true);
    }),
  60_000,
);

test("close ends the thread's connection, so that closing the writer removes the log", () =>
  inFolder(async (folder) => {
    const one = await writer(folder);
    await one.write(9000);
    while (one.log().moved === 0) await one.write(50);
    expect(existsSync(`${one.path}-wal`)).toBe(true);
    await one[Symbol.asyncDispose]();
    expect(existsSync(`${one.path}-wal`)).toBe(false);
  }));

test("a log that still has deleted values is emptied, as soon as no reader needs it", async () => {
  const folder = temporaryFolder("checkpoint");
  const path = join(folder, "a.db");
  const { connection } = openDatabase(path);
  const checkpoint = createCheckpoint(
    connection,
    (error) => {
      throw error;
    },
    0,
  );
  /** A child reads the files: to close them here would drop the locks of SQLite. */
  const filesWithIt = (): string[] =>
    Bun.spawnSync(["grep", "-rlaF", "jenny@example.com", folder])
      .stdout.toString()
      .split("\n")
      .filter(Boolean)
      .map((file) => file.slice(path.length));
  try {
    connection.run("create table t (id integer primary key, body blob)");
    for (let n = 0; n < 40; n++)
      connection.run("insert into t (body) values (?)", [`${"x".repeat(n ** 3)} jenny@example.com`]);
    connection.run("pragma wal_checkpoint(passive)");
    expect(filesWithIt()).toEqual(expect.arrayContaining(["", "-wal"]));
    connection.run("update t set body = 'redacted'");
    expect(checkpoint.due()).toBe(false);

    checkpoint.wantEmpty();
    using reader = new Database(path, { readonly: true });
    reader.run("begin");
    reader.query("select count(*) from t").values();
    expect(checkpoint.due()).toBe(true);
    checkpoint.run();
    expect(filesWithIt()).toContain("-wal");
    reader.run("commit");
    for (const deadline = performance.now() + 30_000; statSync(`${path}-wal`).size > 0; await Bun.sleep(5)) {
      if (performance.now() > deadline) throw new Error("the log was not emptied within 30 s");
      if (checkpoint.due()) checkpoint.run();
    }
    expect(filesWithIt()).toEqual([]);
    expect(checkpoint.due()).toBe(false);
  } finally {
    await checkpoint.close();
    connection.close(true);
    rmSync(folder, { recursive: true });
  }
});
