import { HookonceError } from "../errors.ts";

/**
 * Detects a function that cannot succeed as a handler, without running it.
 *
 * @param canBeAsync whether handlers may return promises
 * @returns the error of each run, or undefined
 */
export function alwaysFails(run: unknown, canBeAsync = false): HookonceError | undefined {
  switch (Object.prototype.toString.call(run)) {
    case "[object AsyncFunction]":
      return canBeAsync ? undefined : handlerAsync("The handler is an async function.");
    case "[object GeneratorFunction]":
    case "[object AsyncGeneratorFunction]":
      return invalidReturn("The handler is a generator function, so its body would never run.", NO_GENERATOR);
    default:
      return undefined;
  }
}

/**
 * Refuses a promise. What a handler writes after an `await` would not be part of the transaction.
 *
 * @throws HookonceError `handler_async`
 */
export function refusePromise(returned: unknown, who: string, onLateError: (error: unknown) => void): void {
  if (typeof returned !== "object" || returned === null || !("then" in returned)) return;
  if (typeof returned.then !== "function") return;
  // drizzle runs a query when its `then` is called.
  if ("getSQL" in returned)
    throw new HookonceError(
      "handler_async",
      `${who} returned a query that it did not run. Add .run() to it.`,
    );
  void Promise.resolve(returned).catch(onLateError);
  throw handlerAsync(`${who} returned a promise.`);
}

/**
 * Refuses any returned value except a reply. The author of the handler expected something to happen with it.
 *
 * @throws HookonceError `invalid_return`
 */
export function refuseValue(returned: unknown): void {
  if (returned === undefined || returned === null) return;
  if (typeof returned === "object" && "next" in returned && typeof returned.next === "function") {
    throw invalidReturn(
      "The handler returned a generator or another iterator, and nothing runs it.",
      NO_GENERATOR,
    );
  }
  throw invalidReturn(
    `The handler returned ${kindOf(returned)}.`,
    "Return nothing, or reply({ … }). An arrow function with one expression returns its value: put braces around it.",
  );
}

const NO_GENERATOR = "Write it without function* and yield.";

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object" : `a ${type}`;
}

function handlerAsync(what: string): HookonceError {
  return new HookonceError(
    "handler_async",
    `${what} Handlers are synchronous: they run inside the transaction, and what they write after an await would not be part of it. Remove async and await.`,
  );
}

function invalidReturn(what: string, remedy: string): HookonceError {
  return new HookonceError("invalid_return", `${what} ${remedy}`);
}
