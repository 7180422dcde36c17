import { tmpdir } from "node:os";
import { designs } from "./designs.ts";
import type { Flags } from "./flags.ts";
import { STORED_EVENT_BYTES } from "./stored-events.ts";
import type { WorkFolder } from "./work-folder.ts";

const GIB = 1024 ** 3;

/** For the load file, and the databases of one round. */
const ROUND_BYTES = 2 * GIB;

/** What keeps a run from meaning anything on this machine, each with its remedy. */
export function unmet(flags: Flags, work: WorkFolder): string[] {
  const found: string[] = [];
  if (process.platform !== "linux") found.push("needs Linux: CPU time and memory are read from /proc");
  if (Bun.which("wrk") === null) {
    found.push("needs wrk, the load generator: apt-get install wrk (Debian and Ubuntu have it)");
  }
  if (work.inMemory) {
    found.push(`${tmpdir()} is in memory, where an fsync costs nothing: set TMPDIR to a folder on a disk`);
  }
  const stored = designs.some(({ name, onStored }) => onStored === true && flags.only.includes(name));
  const needed = ROUND_BYTES + (stored ? flags.stored * STORED_EVENT_BYTES : 0);
  if (work.free() < needed) {
    found.push(
      `needs ${gib(needed)} free in ${tmpdir()}, where there is ${gib(work.free())}: set TMPDIR, ask for fewer with --stored, or leave \`stored\` out with --only`,
    );
  }
  return found;
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
