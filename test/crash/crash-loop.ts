import { readdirSync } from "node:fs";
import { join } from "node:path";
import { simulateDisk, type Disk } from "./fsync-shim.ts";
import { checkComplete, checkRecovered, emptyReport, type CrashReport } from "./checks.ts";
import { makeInboxFolder } from "./inbox-folder.ts";
import { Ledger, redeliverAll, startLoad } from "./load.ts";
import { startServer, type Command, type Server } from "./server.ts";

export interface CrashOptions {
  command: Command;
  rounds: number;
  /** kill: SIGKILL; the page cache survives. power: SIGKILL; only synced data survives. */
  ends: "kill" | "power";
}

/**
 * Runs rounds on one database: load, an end at a random moment, restart, check, redelivery of everything ever
 * sent, check.
 *
 * Up to two starts before and after the end are interrupted as well, since recovery must survive a power cut,
 * too. In every second round, half of the unsynced writes reach the disk in random order: a kernel may do
 * that, and without it a missing sync could go unnoticed because all writes before it happen to be there.
 */
export async function crashLoop({ command, rounds, ends }: CrashOptions): Promise<CrashReport> {
  await using inbox = await makeInboxFolder();
  const disk =
    ends === "power"
      ? await simulateDisk({ directory: inbox.data, shadow: join(inbox.root, "shadow") })
      : undefined;
  const ledger = new Ledger(ends);
  const report = emptyReport();

  for (let round = 1; round <= rounds; round++) {
    const start = (): Server =>
      startServer(command(inbox), disk?.environment({ writeback: round % 2 === 0 ? 50 : 0 }));
    await cutStartsShort(start, disk);
    await endUnderLoad(start, disk, ledger);
    await cutStartsShort(start, disk);
    await using server = start();
    const url = await server.listening;
    const before = new Set(ledger.answered);
    checkRecovered(inbox, before, report);
    const { processed, refused } = await redeliverAll(url, ledger);
    report.forgotten += processed.intersection(before).size;
    report.wrong.push(...refused);
    checkComplete(inbox, ledger, report);
    report.wrong.push(...readdirSync(inbox.data).filter((name) => name.includes("-wal.left-")));
    report.rounds++;
    await endNow(server, disk);
    if (report.wrong.length > 0) break;
  }
  report.sent = ledger.sent.length;
  report.answered = ledger.answered.size;
  report.wrong.push(...ledger.unexpected);
  return report;
}

async function endNow(server: Server, disk: Disk | undefined): Promise<void> {
  server.signal("SIGKILL");
  await server.exited;
  await disk?.losePower();
}

/** Ends up to two starts within their first 130 ms. A start takes about 95 ms until it listens. */
async function cutStartsShort(start: () => Server, disk: Disk | undefined): Promise<void> {
  for (let times = Math.floor(Math.random() * 3); times > 0; times--) {
    await using server = start();
    await Bun.sleep(Math.random() * 130);
    await endNow(server, disk);
  }
}

async function endUnderLoad(start: () => Server, disk: Disk | undefined, ledger: Ledger): Promise<void> {
  await using server = start();
  const load = startLoad(await server.listening, ledger);
  await Bun.sleep(50 + Math.random() * 500);
  server.signal("SIGKILL");
  await server.exited;
  await load.stop();
  await disk?.losePower();
}
