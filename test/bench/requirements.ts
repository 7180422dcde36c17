import { tmpdir } from "node:os";
import { designs } from "./designs.ts";
import type { Flags } from "./flags.ts";
import { STORED_EVENT_BYTES } from "./stored-events.ts";
import type { ScratchFolder } from "./scratch-folder.ts";

const GIB = 1024 ** 3;

/** The size of the load file and of the databases of one round. */
const ROUND_BYTES = 2 * GIB;

/** Lists what would make a run on this machine meaningless, with a remedy for each. */
export function unmet(flags: Flags, scratch: ScratchFolder): string[] {
  const found: string[] = [];
  if (process.platform !== "linux")
    found.push("The bench needs Linux, because it reads CPU time and memory from /proc");
  if (Bun.which("wrk") === null) {
    found.push("The bench needs the load generator wrk, which is not installed. Run: apt-get install wrk");
  }
  if (scratch.inMemory) {
    found.push(`${tmpdir()} is in memory, where an fsync costs nothing. Set TMPDIR to a folder on a disk`);
  }
  const stored = designs.some(({ name, onStored }) => onStored === true && flags.only.includes(name));
  const needed = ROUND_BYTES + (stored ? flags.stored * STORED_EVENT_BYTES : 0);
  if (scratch.free() < needed) {
    found.push(
      `The bench needs ${gib(needed)} free in ${tmpdir()}, which has ${gib(scratch.free())}. Set TMPDIR, store fewer events with --stored, or leave out \`stored\` with --only`,
    );
  }
  return found;
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
