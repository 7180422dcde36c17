import { lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { isWithin, realOf } from "./paths.ts";
import { createSecretRule } from "./secrets.ts";
import { BACKUP_FOLDER } from "./temporary-folder.ts";

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
  /** Files and folders with secrets that are left out. */
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
}

export interface ContentsOptions {
  /** Absolute. */
  readonly folder: string;
  /** Whether an absolute path is the database, or a file beside it. */
  readonly isOfDatabase: (path: string) => boolean;
  /** The files that the config names as secrets. Null: all secrets are in the backup, too. */
  readonly secretFiles: readonly string[] | null;
}

/** A folder in which hookonce keeps data, types for the editor, or the history of the folder. */
const NEVER = new Set(["data", ".hookonce", ".git"]);

/** Litestream's notes on a database. Those of an old one would be wrong for a restored one. */
const LITESTREAM = /^\..+-litestream$/;

/**
 * Lists what a backup holds besides the database: everything in the inbox folder but secrets, `data/`, `.git/` and
 * `.hookonce/`. A handler may need any other file: packages in node_modules/, scripts that a destination runs.
 *
 * @throws NodeJS.ErrnoException if a folder cannot be read
 */
export function listContents({ folder, isOfDatabase, secretFiles }: ContentsOptions): Contents {
  const contents: Content[] = [];
  const leftOut: string[] = [];
  const warnings: string[] = [];
  const root = realpathSync(folder);
  const isSecret =
    secretFiles === null ? () => false : createSecretRule(root, secretFiles, (name) => NEVER.has(name));

  function walk(from: string, under: string, around: readonly string[]): void {
    for (const name of readdirSync(from).sort()) {
      const path = under === "" ? name : `${under}/${name}`;
      const full = join(from, name);
      if (under === "" && NEVER.has(name)) continue;
      const found = statSync(full, { throwIfNoEntry: false });
      if (found?.isFile() === true && [full, join(around.at(-1) ?? root, name)].some(isOfDatabase)) continue;
      if (found?.isDirectory() === true && (name.startsWith(BACKUP_FOLDER) || LITESTREAM.test(name)))
        continue;
      const link = lstatSync(full).isSymbolicLink() ? readlinkSync(full) : undefined;
      // The link itself holds nothing.
      if (link !== undefined && isInside(link, full)) {
        contents.push({ path, kind: "link", from: full });
        continue;
      }
      if (isSecret(path, full)) {
        leftOut.push(found?.isDirectory() === true ? `${path}/` : path);
        continue;
      }
      const real = realOf(full);
      if (link !== undefined && found !== undefined) {
        const [place = ""] = relative(root, real).split(sep);
        if (NEVER.has(place)) {
          warnings.push(`${path} is a link into ${place}/, which no backup holds, and is left out.`);
          continue;
        }
        warnings.push(`${path} is a link to ${real}. The backup holds what is there, in place of the link.`);
      }
      if (found?.isFile() === true) contents.push({ path, kind: "file", from: full });
      else if (found?.isDirectory() === true) {
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

  walk(folder, "", [root]);
  return { contents, leftOut, warnings };
}
