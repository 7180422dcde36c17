import { tmpdir } from "node:os";
import { designs } from "./designs.ts";
import type { Flags } from "./flags.ts";
import { STORED_EVENT_BYTES } from "./stored-events.ts";
import type { ScratchFolder } from "./scratch-folder.ts";

const GIB = 1024 ** 3;

/** For the load file, and the databases of one round. */
const ROUND_BYTES = 2 * GIB;

/** What keeps a run from meaning anything on this machine, each with its remedy. */
export function unmet(flags: Flags, scratch: ScratchFolder): string[] {
  const found: string[] = [];
  if (process.platform !== "linux")
    found.push("The bench needs Linux: CPU time and memory are read from /proc");
  if (Bun.which("wrk") === null) {
    found.push("The bench needs wrk, the load generator, which is not installed: apt-get install wrk");
  }
  if (scratch.inMemory) {
    found.push(
      `${tmpdir()} is in memory, where an fsync costs nothing, and durability would look free: set TMPDIR to a folder on a disk`,
    );
  }
  const stored = designs.some(({ name, onStored }) => onStored === true && flags.only.includes(name));
  const needed = ROUND_BYTES + (stored ? flags.stored * STORED_EVENT_BYTES : 0);
  if (scratch.free() < needed) {
    found.push(
      `The bench needs ${gib(needed)} free in ${tmpdir()}, where there is ${gib(scratch.free())}: set TMPDIR, ask for fewer with --stored, or leave \`stored\` out with --only`,
    );
  }
  return found;
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
