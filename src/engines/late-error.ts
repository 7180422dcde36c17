import { $ZodError } from "zod/v4/core";
import { zodInWords } from "../config/zod-words.ts";
import { HookonceError, messageOf, type ErrorCode } from "../errors.ts";

/**
 * Errors that the gate has thrown. They are remembered because a stack may not lead to the handler:
 * JavaScriptCore drops the frames of tail calls.
 */
const leftGate = new WeakSet<object>();

type ErrorClass = abstract new (...args: never[]) => Error;

/**
 * Error classes of the modules supplied to handlers. zod's is always known, drizzle's only once a handler may
 * use drizzle.
 */
const thrownByModules: ErrorClass[] = [$ZodError];

/** @param thrown an error class of a supplied module. hookonce's own code must never cause such an error */
export function moduleThrows(thrown: ErrorClass): void {
  thrownByModules.push(thrown);
}

/**
 * Marks an error as thrown by the gate.
 *
 * @returns the same error, to be thrown
 */
export function leavingGate(error: unknown): unknown {
  if (typeof error === "object" && error !== null) leftGate.add(error);
  return error;
}

/** Limits the search, because the causes of an error may form a cycle. */
const MAX_CAUSES = 10;

/**
 * Whether an uncaught error can only have come from a handler: the gate threw it, or a module supplied to
 * handlers threw it in a way that hookonce's own code never causes. Errors that the handler's own code throws
 * are not recognized.
 */
export function isOfHandler(thrown: unknown): boolean {
  try {
    return causesOf(thrown).some(isOne);
  } catch {
    return true; // reading the cause of one of hookonce's errors never throws
  }
}

function isOne(error: Error): boolean {
  if (leftGate.has(error) || thrownByModules.some((one) => error instanceof one)) return true;
  return error instanceof HookonceError && error.code === "invalid_reply";
}

/**
 * What to log of a late error. drizzle wraps the error of the gate, and its own message only names the query.
 */
export function reportOf(thrown: unknown): { readonly code?: ErrorCode; readonly cause: string } {
  const error = ofGate(thrown) ?? thrown;
  return {
    ...(error instanceof HookonceError ? { code: error.code } : {}),
    cause: error instanceof $ZodError ? zodInWords(error) : messageOf(error),
  };
}

function ofGate(thrown: unknown): Error | undefined {
  try {
    return causesOf(thrown).find((error) => leftGate.has(error));
  } catch {
    return undefined; // reading a cause ran code of the handler, which has thrown
  }
}

/** The error itself, then its causes. */
function causesOf(thrown: unknown): Error[] {
  const causes: Error[] = [];
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth++) {
    causes.push(error);
    error = error.cause;
  }
  return causes;
}
