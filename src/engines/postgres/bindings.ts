import { HookonceError } from "../../errors.ts";
import type { HandlerInput } from "../engine.ts";
import { stateOf } from "./trouble.ts";
import type { SqlStatement, Token } from "./sql-text.ts";
import type { Value } from "./wire.ts";

/** What SQL handlers and the `where` of a destination may bind. */

interface Binding {
  readonly of: (input: HandlerInput) => Value;
  /**
   * The parameter `$1` with its type. Drivers write a value for a bare `$1::jsonb` as JSON once more, so it is text
   * first.
   */
  readonly written: (parameter: string) => string;
}

const asText = (parameter: string): string => `(${parameter}::text)`;
const asJson = (parameter: string): string => `((${parameter}::text)::jsonb)`;

/** The names that may be bound, and no others. */
const BINDINGS: Readonly<Record<string, Binding>> = {
  ":event_id": { of: (input) => input.id, written: asText },
  ":type": { of: (input) => withoutNul(input.type), written: asText },
  ":source": { of: (input) => input.source, written: asText },
  ":received_at": { of: (input) => input.receivedAt, written: (parameter) => `(${parameter}::bigint)` },
  ":payload": { of: payloadOf, written: asJson },
  ":headers": { of: (input) => input.headersJson, written: asJson },
};

/** A statement with the parameters that the server knows. */
export interface BoundStatement {
  /** Its lines are those of the handler's file. */
  readonly text: string;
  readonly valuesFor: (input: HandlerInput) => Value[];
}

/** @param statement without {@link bindingProblems} */
export function bind({ tokens }: Pick<SqlStatement, "tokens">): BoundStatement {
  const names: string[] = [];
  const text = tokens
    .map(({ kind, text }) => {
      const binding = kind === "parameter" ? BINDINGS[text] : undefined;
      if (binding === undefined) return text;
      if (!names.includes(text)) names.push(text);
      return binding.written(`$${names.indexOf(text) + 1}`);
    })
    .join("");
  return { text, valuesFor: (input) => names.map((name) => (BINDINGS[name] as Binding).of(input)) };
}

/** What is wrong with the parameters of a statement. */
export function bindingProblems({ tokens }: Pick<SqlStatement, "tokens">): { at: number; message: string }[] {
  const allowed = Object.keys(BINDINGS).join(", ");
  return unknownParameters(tokens).map(({ at, text }) => ({
    at,
    message: `${text} is not a binding. Use one of ${allowed}`,
  }));
}

/** `a[1:n]` is a slice of an array. */
function unknownParameters(tokens: readonly Token[]): Token[] {
  let brackets = 0;
  return tokens.filter(({ kind, text }) => {
    if (text === "[") brackets++;
    if (text === "]") brackets--;
    if (kind !== "parameter" || Object.hasOwn(BINDINGS, text)) return false;
    return brackets <= 0 || text.startsWith("$");
  });
}

function payloadOf({ payloadJson }: HandlerInput): Value {
  if (payloadJson?.includes(String.raw`\u0000`) === true && NUL.test(payloadJson)) throw nulInPayload();
  return payloadJson;
}

/** An escaped NUL in JSON text: a backslash that is not escaped itself, and `u0000`. */
const NUL = /(?<!\\)(?:\\\\)*\\u0000/;

export function nulInPayload(): HookonceError {
  return new HookonceError(
    "value_refused",
    String.raw`The payload contains \u0000, which PostgreSQL stores neither in jsonb nor in text. Write a TypeScript handler that reads event.payload.`,
  );
}

/** PostgreSQL's text cannot hold NUL. */
export function withoutNul(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text;
}

/** The server refuses `\u0000` with its own words; hookonce's say what to do. */
export function explainValue(error: unknown): unknown {
  return stateOf(error) === "22P05" ? nulInPayload() : error;
}
