import type { HandlerCode } from "../engines/engine.ts";
import { takeOverConsole } from "../engines/handler-output.ts";
import { guardProcess, loadingHandler } from "../engines/handler-process.ts";
import type { Problem } from "../errors.ts";
import { isHandler, isReply } from "./api.ts";
import { loadProblems, thrownAt } from "./load-error.ts";
import { supplyModules } from "./modules.ts";

/** How long a handler's top level may run, in milliseconds. */
const LOAD_TIMEOUT = 5000;

/**
 * Imports a `.ts` handler. Its top level runs here, once.
 *
 * @param file for messages, relative to the inbox folder
 * @param engineModules the modules of the engine that handlers may import
 */
export async function importHandler(
  file: string,
  path: string,
  hash: string,
  engineModules: () => Promise<Readonly<Record<string, object>>>,
): Promise<HandlerCode | Problem[]> {
  supplyModules(await engineModules());
  takeOverConsole();
  guardProcess();
  let exported: unknown;
  try {
    exported = (await importModule(path)).default;
  } catch (error) {
    return loadProblems(file, path, error);
  }
  if (!isHandler(exported)) {
    return [{ file, message: "has no handler: write export default handler(({ event, db }) => { … })" }];
  }
  const { run } = exported;
  return {
    language: "ts",
    file,
    hash,
    // The user's handler declares the type of its database. The engine passes its own.
    run: run as Extract<HandlerCode, { language: "ts" }>["run"],
    replyOf: (returned) => (isReply(returned) ? returned.reply : null),
    placeOf: (thrown) => thrownAt(file, path, thrown),
  };
}

/**
 * The top level is the user's code. It may wait forever or try to end the process, and both must be reported.
 */
async function importModule(path: string): Promise<{ default?: unknown }> {
  const tooLate = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    tooLate.reject(new Error(`its top level has not finished after ${LOAD_TIMEOUT / 1000} s`));
  }, LOAD_TIMEOUT);
  loadingHandler(true);
  try {
    return await Promise.race([import(Bun.pathToFileURL(path).href) as Promise<object>, tooLate.promise]);
  } finally {
    clearTimeout(timer);
    loadingHandler(false);
  }
}
