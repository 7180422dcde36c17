import { join } from "node:path";
import type { Design } from "./design.ts";
import { designs } from "./designs.ts";
import type { IdKind } from "./event-ids.ts";
import type { Flags } from "./flags.ts";
import { writeInboxFolder } from "./inbox-folder.ts";
import { writeLoadFile } from "./load-file.ts";
import { measure, type Measurement } from "./measure.ts";
import { makeStoredInbox } from "./stored-events.ts";
import type { ScratchFolder } from "./scratch-folder.ts";

/**
 * Runs every chosen design once in each round, with the same events, so that a slow minute of the machine
 * does not count against one design. Each run starts on a new database, except for the large one, which is
 * made once and grows a little.
 */
export async function runRounds(
  kind: IdKind,
  flags: Flags,
  scratch: ScratchFolder,
  binary: string,
): Promise<Measurement[]> {
  const chosen = designs.filter(({ name }) => flags.only.includes(name));
  const stored = chosen.some(({ onStored }) => onStored)
    ? await makeStored(kind, flags, scratch, binary)
    : undefined;
  const measurements: Measurement[] = [];
  for (let round = 0; round < flags.rounds; round++) {
    const loadFolder = scratch.make("load");
    const requests = (flags.warmUpSeconds + flags.seconds) * flags.maxRate;
    const load = writeLoadFile(join(loadFolder, "requests"), kind, requests);
    for (const design of rotated(chosen, round)) {
      progress(`${kind} ids, round ${round + 1} of ${flags.rounds}: ${design.name}`);
      const folder = design.onStored === true && stored !== undefined ? stored : makeEmpty(design, scratch);
      measurements.push(await measure(design, { folder, binary, load, ...flags }));
      if (folder !== stored) scratch.remove(folder);
    }
    scratch.remove(loadFolder);
  }
  if (stored !== undefined) scratch.remove(stored);
  return measurements;
}

function makeEmpty({ name }: Design, scratch: ScratchFolder): string {
  const folder = scratch.make(name);
  writeInboxFolder(folder);
  return folder;
}

async function makeStored(
  kind: IdKind,
  { stored }: Flags,
  scratch: ScratchFolder,
  binary: string,
): Promise<string> {
  progress(`${kind} ids: storing ${stored.toLocaleString("en")} events`);
  const folder = scratch.make("stored");
  await makeStoredInbox(folder, binary, kind, stored);
  return folder;
}

/**
 * Rotates the order in each round, so that no design always follows the same one and its pending disk writes.
 */
function rotated(designs: readonly Design[], by: number): Design[] {
  const first = by % designs.length;
  return [...designs.slice(first), ...designs.slice(0, first)];
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
