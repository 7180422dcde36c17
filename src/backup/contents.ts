import { lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";

/** One file, folder or link of an inbox folder that a backup holds. */
export interface Content {
  /** Relative to the inbox folder, with `/`. */
  readonly path: string;
  readonly kind: "file" | "folder" | "link";
  /** What to read: another file if the link to it leads out of the folder. */
  readonly from: string;
}

export interface Contents {
  readonly contents: readonly Content[];
  /** Files with secrets that are left out. */
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
}

export interface ContentsOptions {
  /** Absolute. */
  readonly folder: string;
  /** The copy of the database, as a path in the backup. Files beside it whose names begin alike are SQLite's or hookonce's. */
  readonly database: string;
  /** The files that hold secrets. Null: they are in the backup, too. */
  readonly secretFiles: readonly string[] | null;
}

/** A folder in which hookonce keeps data, types for the editor, or the history of the folder. */
const NEVER = new Set(["data", ".hookonce", ".git"]);

/**
 * Lists what a backup holds besides the database: everything in the inbox folder but secrets, `data/`, `.git/` and
 * `.hookonce/`. A handler may need any other file: packages in node_modules/, scripts that a destination runs.
 *
 * @throws NodeJS.ErrnoException if a folder cannot be read
 */
export function listContents({ folder, database, secretFiles }: ContentsOptions): Contents {
  const contents: Content[] = [];
  const leftOut: string[] = [];
  const warnings: string[] = [];
  const root = realpathSync(folder);
  const secrets = new Set((secretFiles ?? []).map((file) => realOf(resolve(folder, file))));

  function walk(from: string, under: string, around: readonly string[]): void {
    for (const name of readdirSync(from).sort()) {
      const path = under === "" ? name : `${under}/${name}`;
      const full = join(from, name);
      if ((under === "" && NEVER.has(name)) || path.startsWith(database)) continue;
      const found = statSync(full, { throwIfNoEntry: false });
      if (secretFiles !== null && isSecret(path, full)) {
        leftOut.push(found?.isDirectory() === true ? `${path}/` : path);
        continue;
      }
      const link = lstatSync(full).isSymbolicLink() ? readlinkSync(full) : undefined;
      if (link !== undefined && isInside(link, full)) {
        contents.push({ path, kind: "link", from: full });
        continue;
      }
      if (link !== undefined && found !== undefined)
        warnings.push(
          `${path} is a link to ${realOf(full)}. The backup holds what is there, in place of the link.`,
        );
      if (found?.isFile() === true) contents.push({ path, kind: "file", from: full });
      else if (found?.isDirectory() === true) {
        const real = realOf(full);
        if (around.includes(real)) continue;
        contents.push({ path, kind: "folder", from: full });
        walk(full, path, [...around, real]);
      } else if (found === undefined) warnings.push(`${path} is a link to nothing, and is left out.`);
      // Sockets, pipes and devices hold nothing.
    }
  }

  /** A relative link within the folder leads to the same place after a restore. */
  function isInside(link: string, full: string): boolean {
    return (
      !isAbsolute(link) && isWithin(resolve(dirname(full), link), folder) && isWithin(realOf(full), root)
    );
  }

  function isSecret(path: string, full: string): boolean {
    return basename(path).startsWith(".env") || path === "secrets" || secrets.has(realOf(full));
  }

  walk(folder, "", [root]);
  return { contents, leftOut, warnings };
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // a link to nothing
  }
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
