import { HookonceError } from "../errors.ts";

/**
 * Where a test has called a function of this package. Errors are shown there: otherwise the test runner prints the
 * lines of this code, which is minified and thousands of characters long.
 *
 * @param callee the function that calls this one, and that the test has called
 */
export function callerOf(callee: CallableFunction): Error {
  const caller = new Error();
  Error.captureStackTrace(caller, callee);
  return caller;
}

/** Runs a function, and shows its errors at the caller's line. */
export async function atCaller<T>(caller: Error, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw atLine(caller, error);
  }
}

/** The same for a function that returns its result at once. */
export function atCallerSync<T>(caller: Error, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw atLine(caller, error);
  }
}

/** Only for errors whose message says everything. For other errors, the place is needed. */
function atLine(caller: Error, error: unknown): unknown {
  if (!(error instanceof HookonceError || error instanceof TypeError)) return error;
  caller.name = error.name;
  caller.message = error.message;
  return caller;
}
