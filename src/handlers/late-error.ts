import { $ZodError } from "zod/v4/core";
import { HookonceError } from "../errors.ts";

/** What the gate has thrown. JavaScriptCore drops the frames of tail calls, so a stack need not lead to the handler. */
const leftGate = new WeakSet<object>();

type ErrorClass = abstract new (...args: never[]) => Error;

/** What modules that handlers are supplied with throw. zod is always there, and drizzle only where a handler may use it. */
const thrownByModules: ErrorClass[] = [$ZodError];

/** @param thrown a class of errors of a module's that hookonce itself asks nothing that throws */
export function moduleThrows(thrown: ErrorClass): void {
  thrownByModules.push(thrown);
}

/** @returns the error, for throwing */
export function leavingGate(error: unknown): unknown {
  if (typeof error === "object" && error !== null) leftGate.add(error);
  return error;
}

/** An error may be its own cause's cause. */
const MAX_CAUSES = 10;

/**
 * Whether an error that nobody caught can only have come out of a handler: the gate refused it, or it was thrown by a module that
 * handlers are supplied with and that hookonce itself asks nothing that throws. Says nothing about errors of the handler's own.
 */
export function isOfHandler(thrown: unknown): boolean {
  try {
    return causesOf(thrown).some(isOne);
  } catch {
    return true; // nothing of hookonce's throws when its cause is asked for
  }
}

function isOne(error: Error): boolean {
  if (leftGate.has(error) || thrownByModules.some((one) => error instanceof one)) return true;
  return error instanceof HookonceError && error.code === "invalid_reply";
}

/** With the error itself first. */
function causesOf(thrown: unknown): Error[] {
  const causes: Error[] = [];
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth++) {
    causes.push(error);
    error = error.cause;
  }
  return causes;
}
