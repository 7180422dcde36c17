// `bun run bench` measures hookonce with full durability beside its upper bounds and its alternatives, in one
// run on one machine.
import { buildBinary } from "./binary.ts";
import { designs } from "./designs.ts";
import type { IdKind } from "./event-ids.ts";
import { parseFlags, usage, type Flags } from "./flags.ts";
import { resultTable, summarize, trouble, type Summaries } from "./report.ts";
import { unmet } from "./requirements.ts";
import { runRounds } from "./rounds.ts";
import { measureStartTimes } from "./start-time.ts";
import { targetTable } from "./targets.ts";
import { createScratchFolder } from "./scratch-folder.ts";
import { CONNECTIONS } from "./wrk.ts";

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 if it measured, 1 if it could not measure, 2 for wrong usage */
async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    print(usage);
    return 0;
  }
  const flags = parseFlags(args);
  if (typeof flags === "string") {
    process.stderr.write(`${flags}\n\n${usage}`);
    return 2;
  }
  return bench(flags);
}

async function bench(flags: Flags): Promise<number> {
  const scratch = createScratchFolder();
  const missing = unmet(flags, scratch);
  if (missing.length > 0) {
    process.stderr.write(missing.map((reason) => `${reason}\n`).join(""));
    return 1;
  }
  const binary = await buildBinary(scratch.make("binary"));
  const results = new Map<IdKind, Summaries>();
  for (const kind of flags.ids) {
    const measurements = await runRounds(kind, flags, scratch, binary);
    const summaries = summarize(measurements);
    results.set(kind, summaries);
    print(`\n${titleOf(kind, flags)}`, resultTable(designs, summaries), ...trouble(measurements));
  }
  const starts = flags.quick ? undefined : await measureStartTimes(scratch, binary);
  if (starts !== undefined) {
    const [first, again] = [starts.firstMs, starts.againMs].map((ms) => ms.toFixed(0));
    print(`\nready to serve: ${first} ms after a first start, ${again} ms after any other`);
  }
  print("", targetTable(results, starts));
  return 0;
}

function titleOf(kind: IdKind, { rounds, seconds, stored, only }: Flags): string {
  const large = only.includes("stored") ? `; "many" events stored are ${stored.toLocaleString("en")}` : "";
  return `${kind} ids: medians of ${rounds} × ${seconds} s, ${CONNECTIONS} connections${large}`;
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
