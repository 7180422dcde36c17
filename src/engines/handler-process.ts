import { HookonceError } from "../errors.ts";
import { leavingGate } from "./late-error.ts";

/** Keeps handlers from ending the process: the service would be gone without a trace, and again at each retry. */

const exit = process.exit.bind(process);
const kill = process.kill.bind(process);
const reallyExit = Object.getOwnPropertyDescriptor(process, "reallyExit");

/** Ends the process. Use it instead of `process.exit`, which throws once a TypeScript handler has been loaded. */
export function exitProcess(code: number): never {
  // Bun's exit calls it.
  if (reallyExit !== undefined) Object.defineProperty(process, "reallyExit", reallyExit);
  return exit(code);
}

let guarded = false;
let loading = false;

/** Makes the functions that end this process throw, for the rest of it. Call it before the first handler is loaded. */
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
    if (isOwn(pid) && signal !== 0) throw refusal("process.kill of its own process");
    return kill(pid, signal);
  };
}

/** This process, its group, or every process. */
function isOwn(pid: number): boolean {
  return pid === process.pid || pid === -process.pid || pid === 0 || pid === -1;
}

/** The top level of a handler file runs now, or has ended. */
export function loadingHandler(now: boolean): void {
  loading = now;
}

function refusal(what: string): unknown {
  const message = loading
    ? `its top level calls ${what}, which would end hookonce`
    : `The handler called ${what}, which would end hookonce. To fail the event, throw an error.`;
  // It may be thrown late, in a timer of the handler.
  return leavingGate(new HookonceError("handler_error", message));
}
