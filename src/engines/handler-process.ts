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
    replace(process, name, () => {
      throw refusal(`process.${name}`);
    });
  }
  for (const [name, original] of [
    ["kill", kill],
    ["_kill", (process as unknown as Record<string, typeof kill>)["_kill"]?.bind(process)],
  ] as const) {
    if (original === undefined) continue;
    replace(process, name, (pid: number, signal?: string | number) => {
      if (isOwn(pid) && signal !== 0) throw refusal(`process.${name} on its own process`);
      return original(pid, signal);
    });
  }
  guardListeners();
}

/** Names of the events with which the system, or an error, ends the process. */
const ENDING = /^(?:SIG[A-Z\d]+|uncaughtException|unhandledRejection)$/;

/**
 * Keeps handlers from calling or removing hookonce's own listeners. Bun calls them from native code for a real
 * signal or error, and does not use these functions. They are on the prototype, from which libraries may take
 * them.
 */
function guardListeners(): void {
  const prototype = Object.getPrototypeOf(process) as NodeJS.Process;
  const emit = process.emit.bind(process) as (name: string | symbol, ...values: unknown[]) => boolean;
  const removeAll = process.removeAllListeners.bind(process);
  replace(prototype, "emit", (name: string | symbol, ...values: unknown[]) => {
    if (ENDING.test(String(name))) throw refusal(`process.emit("${String(name)}")`);
    return emit(name, ...values);
  });
  replace(prototype, "removeAllListeners", (name?: string | symbol) => {
    if (name === undefined) throw refusal("process.removeAllListeners()");
    if (ENDING.test(String(name))) throw refusal(`process.removeAllListeners("${String(name)}")`);
    return removeAll(name);
  });
}

function replace(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
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
