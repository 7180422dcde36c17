import { buildBinary } from "./binary.ts";
import type { Design } from "./design.ts";
import { designs } from "./designs.ts";
import type { IdKind } from "./event-ids.ts";
import { parseFlags, usage, type Flags } from "./flags.ts";
import { writeInboxFolder } from "./inbox-folder.ts";
import { writeLoadFile } from "./load-file.ts";
import { measure, type Measurement } from "./measure.ts";
import { resultTable, summarize } from "./report.ts";
import { createWorkFolder, type WorkFolder } from "./work-folder.ts";
import { join } from "node:path";

const flags = parseFlags(process.argv.slice(2));
if (flags === "help") process.stdout.write(usage);
else await bench(flags);

async function bench(flags: Flags): Promise<void> {
  const work = createWorkFolder();
  const binary = await buildBinary(work.make("binary"));
  for (const kind of flags.ids) {
    const measurements = await runRounds(kind, flags, work, binary);
    console.log(`\n${kind} ids`);
    console.log(resultTable(designs, summarize(measurements)));
    for (const { design, problems } of measurements)
      for (const problem of problems) console.log(`! ${design}: ${problem}`);
  }
}

/** Every design once in each round, so that a slow minute of the machine is not one design's. */
async function runRounds(kind: IdKind, flags: Flags, work: WorkFolder, binary: string): Promise<Measurement[]> {
  const chosen = designs.filter(({ name }) => flags.only.includes(name));
  const measurements: Measurement[] = [];
  for (let round = 0; round < flags.rounds; round++) {
    const loadFolder = work.make("load");
    const load = writeLoadFile(
      join(loadFolder, "requests"),
      kind,
      (flags.warmUpSeconds + flags.seconds) * flags.maxRate,
    );
    for (const design of rotated(chosen, round)) {
      const folder = work.make(design.name);
      writeInboxFolder(folder);
      measurements.push(await measure(design, { folder, binary, load, ...flags }));
      work.remove(folder);
    }
    work.remove(loadFolder);
  }
  return measurements;
}

function rotated(designs: readonly Design[], by: number): Design[] {
  const first = by % designs.length;
  return [...designs.slice(first), ...designs.slice(0, first)];
}
