import { HookonceError } from "../errors.ts";
import { leavingGate } from "./late-error.ts";

/**
 * Keeps handlers from ending the process. Otherwise the service would end without a log line, and again at
 * each retry.
 */

const exit = process.exit.bind(process);
const kill = process.kill.bind(process);
const reallyExit = Object.getOwnPropertyDescriptor(process, "reallyExit");

/**
 * Ends the process. Use it instead of `process.exit`, which throws once a TypeScript handler has been loaded.
 */
export function exitProcess(code: number): never {
  // Bun's exit calls it.
  if (reallyExit !== undefined) Object.defineProperty(process, "reallyExit", reallyExit);
  return exit(code);
}

let guarded = false;
let loading = false;

/**
 * Makes the functions that would end this process throw, until it ends. Call it before the first handler is
 * loaded.
 */
export function guardProcess(): void {
  if (guarded) return;
  guarded = true;
  for (const name of ["exit", "reallyExit", "abort", "execve"]) {
    if (!(name in process)) continue;
    Object.defineProperty(process, name, {
      value: () => {
        throw refusal(`process.${name}`);
      },
      configurable: true,
      writable: true,
    });
  }
  process.kill = (pid, signal) => {
    if (isOwn(pid) && signal !== 0) throw refusal("process.kill on its own process");
    return kill(pid, signal);
  };
}

/** This process, its group, or every process. */
function isOwn(pid: number): boolean {
  return pid === process.pid || pid === -process.pid || pid === 0 || pid === -1;
}

/** Call this when the top level of a handler file begins to run, and when it has ended. */
export function loadingHandler(now: boolean): void {
  loading = now;
}

export function isLoadingHandler(): boolean {
  return loading;
}

function refusal(what: string): unknown {
  const message = loading
    ? `its top level calls ${what}, which would end hookonce`
    : `The handler called ${what}, which would end hookonce. To fail the event, throw an error.`;
  // A timer of the handler may throw it after the handler has returned.
  return leavingGate(new HookonceError("handler_error", message));
}
