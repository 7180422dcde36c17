import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsShim, simulateDisk } from "./fsync-shim.ts";
import { testUnless } from "./requirements.ts";

const writer = join(import.meta.dir, "fsync-shim-writer.ts");

/** Commits 300 rows in this mode, cuts the power, and returns how many rows a restart finds. */
async function rowsAfterPowerCut(synchronous: "FULL" | "NORMAL", writeback: number): Promise<number> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "hookonce-shim-")));
  try {
    const directory = join(root, "data");
    const disk = await simulateDisk({ directory, shadow: join(root, "shadow"), syncDelayUs: 0 });
    const path = join(directory, "rows.db");
    const child = Bun.spawn([process.execPath, writer, path, synchronous, "300"], {
      env: { ...process.env, ...disk.environment({ writeback }) },
      stdout: "pipe",
    });
    await child.exited;
    expect(await child.stdout.text()).toBe("committed 300\n");
    await disk.losePower();
    using database = new Database(path, { readwrite: true });
    expect(database.query("pragma integrity_check").values()).toEqual([["ok"]]);
    return database.query<{ n: number }, []>("select count(*) as n from rows").get()!.n;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

describe("the simulated disk", () => {
  for (const writeback of [0, 50]) {
    testUnless(
      needsShim(),
      `keeps what synchronous=FULL committed, with ${writeback} % of unsynced writes written back`,
      async () => expect(await rowsAfterPowerCut("FULL", writeback)).toBe(300),
      20_000,
    );
    testUnless(
      needsShim(),
      `loses part of what synchronous=NORMAL committed, with ${writeback} % of unsynced writes written back`,
      async () => {
        const rows = await rowsAfterPowerCut("NORMAL", writeback);
        // The checkpoint after 1,000 pages syncs, so some rows are there. That shows that the shim keeps
        // synced data.
        expect(rows).toBeGreaterThan(0);
        expect(rows).toBeLessThan(300);
      },
      20_000,
    );
  }
});
