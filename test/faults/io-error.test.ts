import { describe, expect } from "bun:test";
import { checkComplete, checkRecovered, emptyReport } from "../crash/checks.ts";
import { makeInboxFolder } from "../crash/inbox-folder.ts";
import { Ledger, redeliverAll, startLoad } from "../crash/load.ts";
import { needsCommand, needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";
import { injectFaults } from "./strace.ts";

const reason = onlyInFullRun() ?? needsLinux() ?? needsCommand("strace");

// Each call fails once, not from then on: an error that seems temporary must end the process, too. After a
// failed fsync the kernel treats the pages as clean, so a second fsync succeeds although nothing was written.
const faults = [
  { name: "a commit's sync fails", file: "-wal", calls: "fsync,fdatasync", when: () => between(2, 80) },
  { name: "a commit's write fails", file: "-wal", calls: "pwrite64", when: () => between(2, 500) },
  { name: "a checkpoint's sync fails", file: "", calls: "fsync,fdatasync", when: () => 1 },
  // The first call only tests whether the system has sync_file_range.
  {
    name: "writing out a checkpoint's pages fails",
    file: "",
    calls: "sync_file_range",
    when: () => between(2, 20),
  },
  { name: "a checkpoint's write fails", file: "", calls: "pwrite64", when: () => between(1, 50) },
];

function between(low: number, high: number): number {
  return low + Math.floor(Math.random() * (high - low + 1));
}

describe("an I/O error", () => {
  for (const { name, file, calls, when } of faults) {
    testUnless(
      reason,
      `${name}: the process ends, and after a restart no answered event is lost or applied twice`,
      async () => {
        await using inbox = await makeInboxFolder();
        const ledger = new Ledger("io");
        const report = emptyReport();
        {
          await using server = await serve(inbox);
          const url = await server.listening;
          const inject = `${calls}:error=EIO:when=${when()}`;
          await using tracer = await injectFaults(server.pid, { inject, path: inbox.database + file });
          const load = startLoad(url, ledger);
          const ended = await Promise.race([server.exited, Bun.sleep(10_000).then(() => "serves on")]);
          await load.stop();
          expect({ inject, ended }).toEqual({ inject, ended: expect.any(Number) });
          expect(ended).toBeGreaterThan(0);
          // Up to two calls fail: strace counts per thread, and the process closes the database when it ends.
          const injected = await tracer.injected();
          expect(injected).toBeGreaterThanOrEqual(1);
          expect(injected).toBeLessThanOrEqual(2);
          // A delivery of the failed commit may be answered with a 5xx status, but not with 200 or a 4xx.
          expect(ledger.unexpected.filter((answer) => !answer.startsWith("5"))).toEqual([]);
        }
        await using server = await serve(inbox);
        const url = await server.listening;
        checkRecovered(inbox, ledger.answered, report);
        const before = new Set(ledger.answered);
        const { processed, refused } = await redeliverAll(url, ledger);
        report.forgotten = processed.intersection(before).size;
        report.wrong.push(...refused);
        checkComplete(inbox, ledger, report);
        expect(report).toMatchObject({ lost: 0, doubled: 0, forgotten: 0, wrong: [] });
      },
      60_000,
    );
  }

  testUnless(
    reason,
    "in the write that /readyz makes: the process ends, too",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const url = await server.listening;
      expect(await deliver(url, makeEvent("io", 0))).toMatchObject({ httpStatus: 200, status: "processed" });
      const fault = { inject: "fsync,fdatasync:error=EIO:when=1", path: `${inbox.database}-wal` };
      await using tracer = await injectFaults(server.pid, fault);
      await fetch(`${url}/readyz`).catch(() => {});
      const ended = await Promise.race([server.exited, Bun.sleep(3000).then(() => "serves on")]);
      expect(ended).toBe(1);
      expect(await tracer.injected()).toBe(1);
    },
    30_000,
  );
});
