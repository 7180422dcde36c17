import { SQLiteError } from "bun:sqlite";
import { messageOf, type Problem } from "../../errors.ts";
import type { HandlerCode } from "../engine.ts";
import { notePlace } from "../error-place.ts";
import { isUnfinished, unfinished, WHY_UNFINISHED } from "../unfinished.ts";
import { bindingProblems, bindingsFor } from "./bindings.ts";
import { checkKeyword, type StatementAccess } from "./gate.ts";
import type { SqliteHandler } from "./handler.ts";
import { splitStatements, type SqlStatement } from "./sql-text.ts";
import { explainConflict } from "./statement-doubts.ts";

/**
 * Prepares each statement of a `.sql` handler.
 *
 * @returns the handler, or every problem with its line
 */
export function loadSqlHandler(
  { prepare, totalChanges }: StatementAccess,
  { file, hash, text }: Extract<HandlerCode, { language: "sql" }>,
): SqliteHandler | Problem[] {
  const problems: Problem[] = [];
  const steps = splitStatements(text).flatMap((statement) => {
    const found = problemsOf(statement);
    for (const message of found) problems.push({ file, line: statement.line, message });
    if (found.length > 0) return [];
    try {
      const { statement: prepared, writesView } = prepare(statement);
      const bindings = bindingsFor(statement.parameters);
      return [{ prepared, writesView, bindings, line: statement.line }];
    } catch (error) {
      problems.push({
        file,
        line: statement.line + linesInto(statement, error),
        message: messageIn(error, statement),
      });
      return [];
    }
  });
  if (steps.length === 0 && problems.length === 0)
    problems.push({ file, message: "the file has no statement" });
  if (problems.length > 0) return problems;
  if (isUnfinished(text)) {
    const run = (): never => {
      throw unfinished(file);
    };
    return { file, hash, language: "sql", alwaysFails: WHY_UNFINISHED, run };
  }
  return {
    file,
    hash,
    language: "sql",
    run(input) {
      let changed = 0;
      for (const { prepared, writesView, bindings, line } of steps) {
        try {
          const before = writesView ? totalChanges() : 0;
          const { changes } = prepared.run(...bindings.map((bind) => bind(input)));
          changed += writesView ? totalChanges() - before : changes;
        } catch (error) {
          notePlace(error, `${file}:${line}`);
          throw error;
        }
      }
      return { rowsChanged: changed, reply: null };
    },
  };
}

function messageIn(error: unknown, { text }: SqlStatement): string {
  const message = messageOf(error);
  return explainConflict(message, text) ?? message;
}

function problemsOf(statement: SqlStatement): string[] {
  const found = bindingProblems(statement.parameters);
  try {
    checkKeyword(statement.keyword);
  } catch (error) {
    found.unshift(messageOf(error));
  }
  return found;
}

function linesInto(statement: SqlStatement, error: unknown): number {
  if (!(error instanceof SQLiteError) || error.byteOffset < 0) return 0;
  return Buffer.from(statement.text).subarray(0, error.byteOffset).toString().split("\n").length - 1;
}
