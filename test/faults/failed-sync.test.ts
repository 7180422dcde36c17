import { beforeAll, describe, expect } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { checkComplete, checkRecovered, emptyReport } from "../crash/checks.ts";
import { needsShim, simulateDisk } from "../crash/fsync-shim.ts";
import { makeInboxFolder, readEffects } from "../crash/inbox-folder.ts";
import { Ledger, redeliverAll, startLoad } from "../crash/load.ts";
import { needsCommand, needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { compiledServe, ensureBinary, startServer } from "../crash/server.ts";

const reason = onlyInFullRun() ?? needsShim();

function between(low: number, high: number): number {
  return low + Math.floor(Math.random() * (high - low + 1));
}

/** A process that keeps the snapshot of its first read, as a long report does. */
async function startReader(database: string): Promise<Bun.Subprocess> {
  const script = `const { Database } = await import("bun:sqlite");
    const db = new Database(${JSON.stringify(database)}, { readonly: true });
    db.run("begin");
    db.query("select count(*) from hookonce_events").values();
    console.log("reading");
    await Bun.stdin.text();
    db.close();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe("reading\n");
  return child;
}

// After a failed fsync, Linux takes the pages for clean. They are not on the disk, a later fsync succeeds
// without them, and what is appended behind them is worth nothing after a power cut.
const faults = [
  // The first three syncs of the log are those of the start, which refuses to serve if one of them fails.
  { name: "of the log", fail: () => `-wal:${between(4, 60)}` },
  // The first sync of the database is that of the start.
  { name: "of the database, in a checkpoint", fail: () => `/hookonce.db:${between(2, 3)}` },
];

describe("a sync that fails once", () => {
  beforeAll(async () => {
    if (reason === undefined) await ensureBinary();
  }, 120_000);

  for (const { name, fail } of faults) {
    testUnless(
      reason,
      `${name}: after a restart on the same machine and a power cut, no answered event is lost`,
      async () => {
        await using inbox = await makeInboxFolder();
        const disk = await simulateDisk({ directory: inbox.data, shadow: join(inbox.root, "shadow") });
        const ledger = new Ledger("sync");
        const failing = fail();
        {
          await using server = startServer(compiledServe(inbox), disk.environment());
          await server.listening;
          server.signal("SIGTERM");
          expect(await server.exited).toBe(0);
        }
        {
          await using first = startServer(compiledServe(inbox), disk.environment({ fail: failing }));
          const load = startLoad(await first.listening, ledger);
          const ended = await Promise.race([first.exited, Bun.sleep(30_000).then(() => "serves on")]);
          await load.stop();
          expect({ failing, ended }).toEqual({ failing, ended: 1 });
        }
        {
          await using second = startServer(compiledServe(inbox), disk.environment());
          const load = startLoad(await second.listening, ledger);
          await Bun.sleep(200);
          second.signal("SIGKILL");
          await second.exited;
          await load.stop();
        }
        await disk.losePower();
        const report = emptyReport();
        await using third = startServer(compiledServe(inbox), disk.environment());
        const url = await third.listening;
        checkRecovered(inbox, ledger.answered, report);
        const before = new Set(ledger.answered);
        const { processed, refused } = await redeliverAll(url, ledger);
        report.forgotten = processed.intersection(before).size;
        report.wrong.push(...refused);
        checkComplete(inbox, ledger, report);
        console.log(`a failed sync ${name}: ${ledger.answered.size} answered, ${report.lost} of them lost`);
        expect(report).toMatchObject({ lost: 0, doubled: 0, forgotten: 0, wrong: [] });
        expect(before.size).toBeGreaterThan(50);
      },
      120_000,
    );
  }

  // Not with the simulated disk: it does not see what Bun itself writes.
  testUnless(
    onlyInFullRun() ?? needsLinux() ?? needsCommand("strace"),
    "of the log, while another process reads: the start writes all of the log again and syncs it before it listens",
    async () => {
      await using inbox = await makeInboxFolder();
      const wal = `${inbox.database}-wal`;
      const ledger = new Ledger("reads");
      let reader: Bun.Subprocess | undefined;
      {
        await using server = startServer(compiledServe(inbox));
        const load = startLoad(await server.listening, ledger);
        reader = await startReader(inbox.database);
        await Bun.sleep(200);
        server.signal("SIGKILL");
        await server.exited;
        await load.stop();
      }
      const length = statSync(wal).size;
      const trace = join(inbox.root, "trace");
      const options = ["-f", "-P", wal, "-e", "trace=pwrite64,fsync,fdatasync", "-o", trace];
      await using server = startServer(["strace", ...options, ...compiledServe(inbox)]);
      await server.listening;
      const calls = await Bun.file(trace).text();
      let end = 0;
      for (const [, call, from, written] of calls.matchAll(
        /(pwrite64|fsync|fdatasync)\(\d+(?:, .*, \d+, (\d+))?\) += (\d+)/g,
      )) {
        if (call === "pwrite64" && Number(from) <= end) end = Math.max(end, Number(from) + Number(written));
        else if (call !== "pwrite64" && end >= length) end = Number.POSITIVE_INFINITY;
      }
      // strace ends with the process that it started.
      process.kill(Number(/"pid":(\d+)/.exec(server.output())?.[1]), "SIGTERM");
      expect(await server.exited).toBe(0);
      expect(length).toBeGreaterThan(100_000);
      expect(end).toBe(Number.POSITIVE_INFINITY);
      expect(readEffects(inbox.database).applied.size).toBeGreaterThanOrEqual(ledger.answered.size);
      reader.kill("SIGKILL");
      await reader.exited;
    },
    60_000,
  );

  testUnless(
    reason,
    "while a start moves the log: the start is refused, and the next one has every event",
    async () => {
      await using inbox = await makeInboxFolder();
      const disk = await simulateDisk({ directory: inbox.data, shadow: join(inbox.root, "shadow") });
      const ledger = new Ledger("start");
      {
        await using server = startServer(compiledServe(inbox), disk.environment());
        const load = startLoad(await server.listening, ledger);
        await Bun.sleep(200);
        server.signal("SIGKILL");
        await server.exited;
        await load.stop();
      }
      for (const file of ["/hookonce.db", "-wal"]) {
        await using refused = startServer(compiledServe(inbox), disk.environment({ fail: `${file}:1` }));
        expect(await refused.exited).toBe(1);
        expect(refused.output()).toContain("[database_unusable]");
        expect(refused.output()).toContain("SQLITE_IOERR_FSYNC");
      }
      {
        await using server = startServer(compiledServe(inbox), disk.environment());
        await server.listening;
        server.signal("SIGKILL");
        await server.exited;
      }
      await disk.losePower();
      const report = emptyReport();
      await using server = startServer(compiledServe(inbox), disk.environment());
      await server.listening;
      checkRecovered(inbox, ledger.answered, report);
      expect(report).toMatchObject({ lost: 0, doubled: 0, wrong: [] });
    },
    60_000,
  );
});
