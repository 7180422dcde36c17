import { existsSync, lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Resolves links, so that two names of one database share one lock. Before the first start a link may lead to
 * a database that does not exist yet.
 */
export function realPath(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  // Following a loop of links would never end, so SQLite refuses it. A relative link starts in its own
  // folder.
  return link && !isLoop(path) ? realPath(resolve(realpathSync(dirname(path)), readlinkSync(path))) : path;
}

function isLoop(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
}
