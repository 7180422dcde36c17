import { checkBackup, type CheckedBackup } from "../app/check-backup.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { stopOnSignal } from "./backup.ts";
import { EXIT } from "./exit.ts";
import { ago, shortTime } from "./moments.ts";
import { formatProblem } from "./refusal.ts";
import { roundSize } from "./retention-lines.ts";
import { complain, progress, say } from "./terminal.ts";

/** `hookonce check --backup FILE`: exits with 1 if it does not start. */
export async function runCheckBackup(file: string, { json = false }: { json?: boolean }): Promise<number> {
  const { signal, end } = stopOnSignal();
  try {
    const checked = await checkBackup(file, signal, (step) => progress(`${step} …`));
    progress("");
    const { manifest, problems: damage, startProblems, warnings, needs } = checked;
    const problems = [
      ...damage.map((text) => ({ file: manifest.database ?? undefined, message: text })),
      ...startProblems,
    ];
    const needed = linesOfNeeds(needs, manifest);
    if (json) {
      sayAll("problem", problems);
      sayAll("warning", warnings);
      sayAll(
        "note",
        needed.map((line) => ({ message: `needed by a start: ${line}` })),
      );
      const { made_at, hookonce, database, database_path } = manifest;
      const { bytes, events, newestAt: newest_at } = checked;
      const about = { made_at, hookonce, bytes, database, database_path, events, newest_at, needs };
      say(JSON.stringify({ kind: "backup", ...about }));
      return problems.length > 0 ? EXIT.failed : EXIT.done;
    }
    for (const warning of warnings) complain(`warning: ${formatProblem(warning)}`);
    const label = process.stderr.isTTY ? "error: " : "";
    for (const problem of problems) complain(label + formatProblem(problem));
    for (const line of linesOf(checked)) say(visible(line));
    if (problems.length > 0) {
      for (const line of needed) say(visible(`Needed by a start: ${line}`));
      complain(`\n${counted(problems.length, "problem")}: this backup does not start`);
      return EXIT.failed;
    }
    if (manifest.database === null)
      say(
        visible(
          `The files of the folder are whole. Its database is on PostgreSQL, and not in this backup: ${manifest.database_path}. Restore that with pg_restore, and then run hookonce check.`,
        ),
      );
    else if (needed.length === 0) say("This backup starts.");
    else {
      say("This backup starts, but it also needs:");
      for (const line of needed) say(visible(`  ${line}`));
    }
    return EXIT.done;
  } catch (error) {
    progress("");
    if (!signal.aborted) throw error;
    complain("hookonce: the check was stopped.");
    return EXIT.failed;
  } finally {
    end();
  }
}

function linesOf({ manifest, bytes, events, newestAt, sources, pending }: CheckedBackup): string[] {
  const now = Date.now();
  const { made_at: madeAt, hookonce, files, database, database_path: path } = manifest;
  const size = files.find((one) => one.path === database)?.size ?? 0;
  const newest =
    newestAt === null ? "" : `, the newest of ${shortTime(newestAt, now)} (${ago(newestAt, now)})`;
  return [
    `Made ${shortTime(madeAt, now)} (${ago(madeAt, now)}) by hookonce ${hookonce}: ${roundSize(bytes)}, ${counted(database === null ? files.length : files.length - 1, "file")}${database === null ? "" : " and the database"}`,
    ...(database === null
      ? []
      : [`Database ${database} (${roundSize(size)}, from ${path}): ${counted(events, "event")}${newest}`]),
    ...(sources.length === 0 ? [] : [`Sources: ${sources.join(", ")}`]),
    ...(pending.length === 0 ? [] : [`Migrations that a start applies: ${pending.join(", ")}`]),
  ];
}

/** What a start needs besides the backup. */
function linesOfNeeds(
  { secrets, unsigned, database }: CheckedBackup["needs"],
  { database: copy, database_path: path }: CheckedBackup["manifest"],
): string[] {
  const named = (kind: "env:" | "file:"): string =>
    secrets
      .filter((one) => one.startsWith(kind))
      .map((one) => one.slice(kind.length))
      .join(", ");
  const [variables, files] = [named("env:"), named("file:")];
  return [
    ...(variables === "" ? [] : [`in .env or in the environment: ${variables}`]),
    ...(files === "" ? [] : [`files: ${files}`]),
    ...(database ? [`${copy} where hookonce.toml has the database (when it was made: ${path})`] : []),
    ...(unsigned.length === 0
      ? []
      : [
          `serve --dev, or allow_public = true: unsigned ${unsigned.length === 1 ? "source" : "sources"} ${unsigned.join(", ")}`,
        ]),
  ];
}

function sayAll(
  kind: string,
  found: readonly { message: string; file?: string | undefined; line?: number | undefined }[],
): void {
  for (const { file = null, line = null, message } of found)
    say(JSON.stringify({ kind, file, line, message }));
}
