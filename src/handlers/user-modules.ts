import { realpathSync } from "node:fs";
import { isAbsolute, join, sep } from "node:path";

/**
 * Modules are kept by their path, so an import of a changed file returns the old module. A reload removes all modules
 * of the user from `require.cache`, which in Bun also holds those that were imported. Nothing else holds the old
 * ones once their handlers are gone, so they are collected.
 */

/** hookonce's own code and packages. */
const OWN = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(Bun.main)
  ? [Bun.main.replace(/([\\/](?:\$bunfs|~BUN)[\\/]).*$/, "$1")]
  : [join(import.meta.dir, "..", ".."), Bun.main];

/** The paths of all modules of the user that are loaded, the handlers among them. */
export function userModules(inboxFolder: string): string[] {
  const folders = [inboxFolder, realpathSync(inboxFolder)].map((folder) => folder + sep);
  const isOfUser = (path: string): boolean =>
    folders.some((folder) => path.startsWith(folder)) ||
    (isAbsolute(path) && OWN.every((own) => !path.startsWith(own)));
  return Object.keys(require.cache).filter(isOfUser);
}

/**
 * Makes the next import of each file of the user read it again: handlers, and whatever they import, also from outside
 * the inbox folder.
 *
 * @returns a function that undoes this for handlers that call `require` while they run, because the new files were
 *   refused
 */
export function forgetUserModules(inboxFolder: string): () => void {
  const drop = (): [string, NodeJS.Module | undefined][] =>
    userModules(inboxFolder).map((path) => {
      const module = require.cache[path];
      delete require.cache[path];
      return [path, module];
    });
  const before = drop();
  return () => {
    drop();
    for (const [path, module] of before) if (module !== undefined) require.cache[path] = module;
  };
}
