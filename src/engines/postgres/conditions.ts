import type { HandlerInput } from "../engine.ts";
import { bind, bindingProblems } from "./bindings.ts";
import { splitStatements, type SqlStatement } from "./sql-text.ts";
import { sqliteForms } from "./sqlite-forms.ts";
import { checkOnServer, explained, refusedByName } from "./statement-check.ts";
import type { Tx } from "./tx.ts";
import type { Value, Wire } from "./wire.ts";
import { throwIfAway } from "./trouble.ts";

/** The `where` of a destination. */

// A comment at its end must not hide the rest.
const textOf = (expression: string): string => `select coalesce((${expression}\n)::boolean, false)`;

/** Evaluates expressions for events, each in a savepoint, so that the transaction goes on if it fails. */
export function createConditions(tx: Tx): (expression: string, input: HandlerInput) => Promise<boolean> {
  const bound = new Map<string, ReturnType<typeof bind>>();
  return async (expression, input) => {
    let one = bound.get(expression);
    if (one === undefined) {
      one = bind(splitStatements(textOf(expression))[0] as SqlStatement);
      bound.set(expression, one);
    }
    return isTrue(tx.wire, one.text, one.valuesFor(input));
  };
}

async function isTrue(wire: Wire, text: string, values: readonly Value[]): Promise<boolean> {
  const [, answer] = await Promise.allSettled([
    wire.send("savepoint hookonce_where"),
    wire.send(text, values),
    wire.send("release hookonce_where"),
  ]);
  if (answer.status === "fulfilled") return answer.value.rows[0]?.[0] === true;
  await wire.send("rollback to hookonce_where");
  await wire.send("release hookonce_where");
  throw answer.reason;
}

/** What is wrong with an expression; undefined if it can be evaluated. The caller has a transaction open. */
export async function expressionProblem(wire: Wire, expression: string): Promise<string | undefined> {
  if (expression.trim() === "") return "the expression is empty";
  const [statement, second] = splitStatements(textOf(expression));
  if (statement === undefined || second !== undefined) return "write one expression, without a semicolon";
  // What is always NULL takes no event, and nothing would show it.
  const [found] = [...refusedByName(statement), ...bindingProblems(statement), ...sqliteForms(statement)];
  if (found !== undefined) return found.message;
  try {
    await checkOnServer(wire, bind(statement).text);
    return undefined;
  } catch (error) {
    throwIfAway(error);
    return explained(error, statement);
  }
}
