import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeInboxFolder, type InboxFolder } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve, startServer, type Server } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";
import { mountSmallDisk, needsMount } from "./small-disk.ts";

const needs = onlyInFullRun() ?? needsMount();

/** Starts serve from its source, which gives up after this many milliseconds. */
function startFor(inbox: InboxFolder, healMs: number): Server {
  return startServer([
    process.execPath,
    join(import.meta.dir, "serve-healing.ts"),
    inbox.folder,
    `${healMs}`,
  ]);
}

const AGAIN = "the start is tried again for up to 60 s";

async function untilOutput(server: Server, text: string): Promise<void> {
  const until = performance.now() + 10_000;
  while (!server.output().includes(text)) {
    if (performance.now() > until) throw new Error(`no "${text}" in:\n${server.output()}`);
    await Bun.sleep(20);
  }
}

describe("a start", () => {
  for (const [name, prepare] of Object.entries({
    "of a new database": () => {},
    "of a database that was stopped": async (inbox: InboxFolder) => {
      await using server = await serve(inbox);
      expect(await deliver(await server.listening, makeEvent("heal", 0))).toMatchObject({ httpStatus: 200 });
      server.signal("SIGTERM");
      await server.exited;
    },
    // The log holds pages that the database has no room for yet.
    "of a database that was killed": async (inbox: InboxFolder) => {
      await using server = await serve(inbox);
      const url = await server.listening;
      await Promise.all(Array.from({ length: 100 }, (_, n) => deliver(url, makeEvent("killed", n))));
    },
    "with a pending migration": async (inbox: InboxFolder) => {
      await using server = await serve(inbox);
      await server.listening;
      server.signal("SIGTERM");
      await server.exited;
      writeFileSync(join(inbox.folder, "migrations", "0002_more.sql"), "create table more (n integer);\n");
    },
  })) {
    testUnless(
      needs,
      `${name} on a full disk says why, waits, and serves once there is room`,
      async () => {
        await using inbox = await makeInboxFolder();
        await using disk = mountSmallDisk(inbox.data, 4);
        await prepare(inbox);
        disk.fill();
        await using server = await serve(inbox);
        await untilOutput(server, AGAIN);
        const line = server
          .output()
          .split("\n")
          .find((one) => one.includes(AGAIN)) as string;
        expect(JSON.parse(line)).toMatchObject({ level: "warn", code: "disk_full" });
        expect(line).toMatch(/SQLITE_|ENOSPC/);
        await Bun.sleep(1000);
        await disk.free();
        const url = await server.listening;
        expect(await deliver(url, makeEvent("heal", 1))).toMatchObject({ httpStatus: 200 });
      },
      60_000,
    );
  }

  testUnless(
    needs,
    "on a disk that stays full exits 1 with the code disk_full",
    async () => {
      await using inbox = await makeInboxFolder();
      await using disk = mountSmallDisk(inbox.data, 4);
      disk.fill();
      const started = performance.now();
      await using server = startFor(inbox, 2000);
      expect(await server.exited).toBe(1);
      expect(performance.now() - started).toBeGreaterThan(2000);
      expect(server.output()).toContain("[disk_full]");
    },
    30_000,
  );

  testUnless(
    needs,
    "ends at once with SIGTERM while it waits for room",
    async () => {
      await using inbox = await makeInboxFolder();
      await using disk = mountSmallDisk(inbox.data, 4);
      disk.fill();
      await using server = await serve(inbox);
      await untilOutput(server, AGAIN);
      const asked = performance.now();
      server.signal("SIGTERM");
      expect(await server.exited).toBe(0);
      expect(performance.now() - asked).toBeLessThan(2000);
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "waits while another process holds the write lock, answers 503 meanwhile, and serves afterwards",
    async () => {
      await using inbox = await makeInboxFolder();
      {
        await using server = await serve(inbox);
        await server.listening;
        server.signal("SIGTERM");
        await server.exited;
      }
      const other = new Database(inbox.database);
      other.run("begin immediate");
      await using server = await serve(inbox);
      await untilOutput(server, AGAIN);
      expect(server.output()).toContain("database is locked (SQLITE_BUSY)");
      other.run("rollback");
      other.close();
      expect(await deliver(await server.listening, makeEvent("heal", 0))).toMatchObject({ httpStatus: 200 });
    },
    60_000,
  );
});
