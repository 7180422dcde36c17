import { beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { needsShim, simulateDisk } from "./fsync-shim.ts";
import { makeInboxFolder, readEffects } from "./inbox-folder.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";
import { compiledServe, ensureBinary, startServer } from "./server.ts";
import { deliver, makeEvent } from "./stripe-events.ts";

const reason = onlyInFullRun() ?? needsShim();
const rounds = 40;

/**
 * The first start creates the database, converts it to WAL mode and migrates it, with few syncs. Slow syncs
 * make cuts between them likely, so that the test meets states that are rare otherwise: an empty file, a file
 * of one page, an incomplete log.
 */
const syncDelayUs = 8000;

async function cutFirstStartShort(writeback: number): Promise<string | undefined> {
  await using inbox = await makeInboxFolder();
  const disk = await simulateDisk({ directory: inbox.data, shadow: join(inbox.root, "shadow"), syncDelayUs });
  {
    await using first = startServer(compiledServe(inbox), disk.environment({ writeback }));
    await Bun.sleep(40 + Math.random() * 120);
    first.signal("SIGKILL");
    await first.exited;
    await disk.losePower();
  }
  const found = [...new Bun.Glob("*").scanSync(inbox.data)].sort();
  await using second = startServer(compiledServe(inbox), disk.environment({ writeback }));
  try {
    const url = await second.listening;
    expect(await deliver(url, makeEvent("first", 0))).toMatchObject({ httpStatus: 200, status: "processed" });
    expect(readEffects(inbox.database)).toMatchObject({ listed: 1, integrity: "ok" });
    return undefined;
  } catch (error) {
    return `with ${found.join(", ")}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

describe("the first start", () => {
  beforeAll(async () => {
    if (reason === undefined) await ensureBinary();
  }, 120_000);

  testUnless(
    reason,
    "can be interrupted by a power cut at any moment, and the next start serves",
    async () => {
      const failures: string[] = [];
      for (let round = 0; round < rounds; round++) {
        const failure = await cutFirstStartShort(round % 2 === 0 ? 0 : 50);
        if (failure !== undefined) failures.push(failure);
      }
      expect(failures).toEqual([]);
    },
    120_000,
  );
});
