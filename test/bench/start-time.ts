import { join } from "node:path";
import { startServer } from "./child-server.ts";
import { writeInboxFolder } from "./inbox-folder.ts";
import { median } from "./report.ts";
import type { ScratchFolder } from "./scratch-folder.ts";

/** Milliseconds from the start of the process to its first 200. */
export interface StartTimes {
  /** The first start on a folder, which creates and migrates the database. */
  readonly firstMs: number;
  /** Any later start. */
  readonly againMs: number;
}

const STARTS = 7;

/** Measures the start times of the compiled binary. Each is the median of several starts. */
export async function measureStartTimes(scratch: ScratchFolder, binary: string): Promise<StartTimes> {
  const first: number[] = [];
  const again: number[] = [];
  for (let n = 0; n < STARTS; n++) {
    const folder = scratch.make("start");
    writeInboxFolder(folder);
    first.push(await startOnce(folder, binary));
    again.push(await startOnce(folder, binary));
    scratch.remove(folder);
  }
  return { firstMs: median(first), againMs: median(again) };
}

async function startOnce(folder: string, binary: string): Promise<number> {
  await using server = await startServer(
    (port) => [binary, "serve", folder, "--listen", `127.0.0.1:${port}`],
    join(folder, "server.log"),
  );
  return server.startMs;
}
