import type { Problem } from "../../errors.ts";
import type { HandlerCode } from "../engine.ts";
import { notePlace } from "../error-place.ts";
import { ended } from "../quarantine.ts";
import { isUnfinished, unfinished, WHY_UNFINISHED } from "../unfinished.ts";
import { bind, bindingProblems, explainValue } from "./bindings.ts";
import { DEADLINE_MS, type HandlerRun, type PostgresHandler } from "./handler.ts";
import type { Observe } from "./observation.ts";
import { isFollowing, stateOf, throwIfAway } from "./trouble.ts";
import { countedBy, sendCounted } from "./row-counts.ts";
import { lineAt, splitStatements, type SqlStatement } from "./sql-text.ts";
import { checkOnServer, explained, placeIn, refusedByName } from "./statement-check.ts";
import { sqliteForms } from "./sqlite-forms.ts";
import type { Value, Wire } from "./wire.ts";

type SqlCode = Extract<HandlerCode, { language: "sql" }>;

/**
 * Checks each statement of a `.sql` handler, in an open transaction that the caller rolls back.
 *
 * @param observe runs the statements of a handler that is tried, one after another
 * @param deadlineMs `statement_timeout` of the transactions in which it runs
 * @returns the handler, or every problem with its line
 */
export async function loadSqlHandler(
  wire: Wire,
  { file, hash, text }: SqlCode,
  observe?: Observe,
  deadlineMs: number = DEADLINE_MS,
): Promise<PostgresHandler | Problem[]> {
  const statements = splitStatements(text);
  const problems: Problem[] = [];
  for (const statement of statements)
    for (const { at, message } of await problemsOf(wire, statement))
      problems.push({ file, line: lineAt(statement, at), message });
  if (statements.length === 0) problems.push({ file, message: "the file has no statement" });
  if (problems.length > 0) return problems;
  if (isUnfinished(text)) {
    const run = (): never => {
      throw unfinished(file);
    };
    return { file, hash, language: "sql", mayEnqueue: false, alwaysFails: WHY_UNFINISHED, run };
  }
  const steps = statements.map((statement) => {
    const { text, valuesFor } = bind(statement);
    return { statement, text, valuesFor, counted: countedBy(statement) };
  });
  const send = async (
    wire: Wire,
    { statement, text, counted }: (typeof steps)[number],
    values: readonly Value[],
    eventId: string,
  ) => {
    const began = performance.now();
    try {
      const { changed } = await (observe === undefined
        ? sendCounted(wire, text, values, counted)
        : observe(
            { sql: statement.text, line: statement.line },
            values,
            () => sendCounted(wire, text, values, counted),
            ({ rows }) => rows,
          ));
      return changed;
    } catch (error) {
      // Somebody may also have cancelled the statement.
      const isLate = stateOf(error) === "57014" && performance.now() - began >= deadlineMs;
      const shown = isLate ? ended({ handler: file, eventId }, deadlineMs) : explainValue(error);
      notePlace(shown, `${file}:${statement.line}`);
      throw shown;
    }
  };
  return {
    file,
    hash,
    language: "sql",
    mayEnqueue: /outbox/i.test(text),
    run(wire, input) {
      const values = steps.map(({ valuesFor }) => valuesFor(input));
      const work = steps.map((step, index) => () => send(wire, step, values[index] ?? [], input.id));
      return observe === undefined ? allOf(work.map((one) => one())) : inTurn(work);
    },
  };
}

async function inTurn(work: readonly (() => Promise<number>)[]): Promise<HandlerRun> {
  let rowsChanged = 0;
  for (const one of work) rowsChanged += await one();
  return { rowsChanged, reply: null };
}

/** The first error is the cause of those that follow. */
async function allOf(sent: readonly Promise<number>[]): Promise<HandlerRun> {
  const answers = await Promise.allSettled(sent);
  const failed = answers.filter((answer) => answer.status === "rejected");
  const first = failed.find(({ reason }) => !isFollowing(reason)) ?? failed[0];
  if (first !== undefined) throw first.reason;
  const counts = answers.map((answer) => (answer.status === "fulfilled" ? answer.value : 0));
  return { rowsChanged: counts.reduce((sum, count) => sum + count, 0), reply: null };
}

async function problemsOf(
  wire: Wire,
  statement: SqlStatement,
): Promise<readonly { readonly at: number; readonly message: string }[]> {
  const found = [...refusedByName(statement), ...bindingProblems(statement)];
  if (found.length > 0) return found;
  const { text } = bind(statement);
  try {
    await checkOnServer(wire, text);
    return [];
  } catch (error) {
    throwIfAway(error);
    return [
      { at: atSameLine(statement.text, text, placeIn(text, error)), message: explained(error, statement) },
    ];
  }
}

/** A place of the bound text has the same line in the statement as written, because bindings have no line breaks. */
function atSameLine(written: string, bound: string, at: number): number {
  const lines = bound.slice(0, at).split("\n").length - 1;
  return written.split("\n").slice(0, lines).join("\n").length + (lines > 0 ? 1 : 0);
}

/** Statements of a handler that can be loaded and are probably a mistake. */
export function doubtsOf({ file, text }: SqlCode): Problem[] {
  return splitStatements(text).flatMap((statement) =>
    sqliteForms(statement).map(({ at, message }) => ({ file, line: lineAt(statement, at), message })),
  );
}
