import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";

/** Which events were brought from one place to another. */
export interface ListenCursor {
  /** Undefined the first time. */
  readonly value: string | undefined;
  write(cursor: string): void;
}

/**
 * The cursor is a file in `data/` of the inbox folder, for each pair of places. Its name is a hash, because a URL
 * may hold a secret.
 *
 * @throws HookonceError `file_unreadable`
 */
export function openListenCursor(inboxFolder: string, from: string, to: string): ListenCursor {
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([from, to])).digest("hex");
  const folder = join(inboxFolder, "data");
  const path = join(folder, `listen-${hash.slice(0, 16)}.json`);
  let value = read(path);
  return {
    get value() {
      return value;
    },
    write(cursor) {
      if (cursor === value) return;
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // A process that is killed leaves the whole old file or the whole new one.
      writeFileSync(`${path}.new`, `${JSON.stringify({ cursor })}\n`, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      value = cursor;
    },
  };
}

function read(path: string): string | undefined {
  try {
    const { cursor } = JSON.parse(readFileSync(path, "utf8")) as { cursor?: unknown };
    if (typeof cursor === "string") return cursor;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable(path, messageOf(error));
  }
  throw unreadable(path, "it has no cursor");
}

function unreadable(path: string, why: string): HookonceError {
  return new HookonceError(
    "file_unreadable",
    `${path} cannot be read (${why}), so listen does not know which events it has brought. Remove the file, and choose where to begin with --since TIME.`,
  );
}
