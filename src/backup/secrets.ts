import { lstatSync, readdirSync, statSync, type Stats } from "node:fs";
import { join, relative, resolve } from "node:path";
import { isWithin, realOf } from "./paths.ts";

/**
 * Which files of an inbox folder hold secrets. A name decides, because a backup must not depend on what a file
 * contains at the moment; so does the config.
 */

/** Files and folders. */
const PRIVATE = /^(?:\.env.*|\.npmrc|\.netrc|\.pgpass|\.git-credentials|\.ssh|\.aws|\.gnupg)$/i;

const KEY = /\.(?:key|pem|p8|p12|pfx)$/i;

const FOLDER = "secrets";

/** Folders with code, in which a folder may be called secrets. */
const CODE = new Set(["handlers", "migrations"]);

/** Packages are public, and bring certificates and examples of an .env. */
const PACKAGES = "node_modules";

/** @param place a path with `/`; what comes before it is not asked */
function isPrivateName(place: string): boolean {
  const names = place.split("/");
  if (names.includes(PACKAGES)) return false;
  return (
    names.some((name) => PRIVATE.test(name)) ||
    KEY.test(place) ||
    (names.includes(FOLDER) && !CODE.has(names[0] ?? ""))
  );
}

/**
 * @param root the inbox folder, absolute and without symbolic links
 * @param secretFiles the files that the config names, absolute or relative to the folder
 * @param isNever whether a backup never holds a name in the folder
 * @returns whether a backup must not hold what is at a path
 */
export function createSecretRule(
  root: string,
  secretFiles: readonly string[],
  isNever: (name: string) => boolean,
): (path: string, full: string) => boolean {
  /** Real paths: what the config names, and what a link with the name of a secret leads to. */
  const places = new Set(secretFiles.map((file) => realOf(resolve(root, file))));
  /** Files with several names (hard links). */
  const inodes = new Set<string>();

  /** By its name in the folder, or by that of what a link leads to. */
  function isPrivate(path: string, full: string): boolean {
    const real = realOf(full);
    // Only what the folder and the place do not share: the folder itself may be in one called secrets.
    const place = relative(root, real).replaceAll("\\", "/");
    return isPrivateName(path) || isPrivateName(place) || [...places].some((one) => isWithin(real, one));
  }

  function note(found: Stats): void {
    if (found.isFile() && found.nlink > 1) inodes.add(`${found.dev}:${found.ino}`);
  }

  function collect(folder: string, under: string, isSecret: boolean): void {
    for (const name of readdirSync(folder)) {
      const path = `${under}${name}`;
      const full = join(folder, name);
      const found = lstatSync(full);
      if (name === PACKAGES || (under === "" && isNever(name))) continue;
      const isSecretHere = isSecret || isPrivate(path, full);
      if (found.isSymbolicLink()) {
        // A link to the folder itself would leave out everything.
        if (isSecretHere && !isWithin(root, realOf(full))) places.add(realOf(full));
      } else if (found.isDirectory()) collect(full, `${path}/`, isSecretHere);
      else if (isSecretHere) note(found);
    }
  }

  collect(root, "", false);
  for (const file of places) {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found !== undefined) note(found);
  }
  return (path, full) => {
    if (isPrivate(path, full)) return true;
    const found = statSync(full, { throwIfNoEntry: false });
    return found !== undefined && inodes.has(`${found.dev}:${found.ino}`);
  };
}
