import { realpathSync } from "node:fs";
import { isAbsolute, relative, sep } from "node:path";

/** The path without symbolic links; itself if it leads to nothing. */
export function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
