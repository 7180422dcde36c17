import type { Database, Statement } from "bun:sqlite";
import { messageOf } from "../../errors.ts";
import type { HandlerInput } from "../engine.ts";
import { splitStatements } from "./sql-text.ts";

/** What SQL handlers and the `where` of a destination may bind. */

type Binding = (input: HandlerInput) => string | number | null;

/** The names that may be bound, and no others. */
const BINDINGS: Readonly<Record<string, Binding>> = {
  ":event_id": (input) => input.id,
  ":type": (input) => input.type,
  ":source": (input) => input.source,
  ":received_at": (input) => input.receivedAt,
  ":payload": (input) => input.payloadJson,
  ":headers": (input) => input.headersJson,
};

/** In the order of the parameters: SQLite numbers named ones in the order in which they first appear. */
export function bindingsFor(parameters: readonly string[]): readonly Binding[] {
  return parameters.map((name) => BINDINGS[name] as Binding);
}

/** What is wrong with the parameters of a statement. */
export function bindingProblems(parameters: readonly string[]): string[] {
  return parameters
    .filter((name) => !Object.hasOwn(BINDINGS, name))
    .map((name) => `${name} is not a binding. Use one of ${Object.keys(BINDINGS).join(", ")}`);
}

/** Evaluates expressions for events. Each is prepared once. */
export function createConditions(db: Database): (expression: string, input: HandlerInput) => boolean {
  const prepared = new Map<
    string,
    { readonly statement: Statement; readonly bindings: readonly Binding[] }
  >();
  return (expression, input) => {
    let one = prepared.get(expression);
    if (one === undefined) {
      const { text, parameters } = statementOf(expression);
      one = { statement: db.query(text), bindings: bindingsFor(parameters) };
      prepared.set(expression, one);
    }
    return one.statement.values(...one.bindings.map((bind) => bind(input)))[0]?.[0] === 1;
  };
}

/** What is wrong with an expression; undefined if it can be evaluated on these tables. */
export function expressionProblem(db: Database, expression: string): string | undefined {
  if (expression.trim() === "") return "the expression is empty";
  const statements = splitStatements(`select iif((${expression}\n), 1, 0)`);
  if (statements.length !== 1) return "write one expression, without a semicolon";
  const { text, parameters } = statementOf(expression);
  const [unknown] = bindingProblems(parameters);
  if (unknown !== undefined) return unknown;
  try {
    const plan = db.query(`explain query plan ${text}`);
    const steps = plan.values(...parameters.map(() => null)).map((row) => String(row[3]));
    plan.finalize();
    // Nothing can end it: the watchdog ends only handlers.
    return steps.includes("RECURSIVE STEP")
      ? "a recursive query may run without an end, and would hold up every delivery"
      : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function statementOf(expression: string): { readonly text: string; readonly parameters: readonly string[] } {
  // A comment at its end must not hide the rest.
  const text = `select iif((${expression}\n), 1, 0)`;
  const [statement] = splitStatements(text);
  return { text, parameters: statement?.parameters ?? [] };
}
