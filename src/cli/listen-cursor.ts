import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";

/** Which events were brought from one place to another. */
export interface ListenCursor extends Disposable {
  /** Undefined the first time. */
  readonly value: string | undefined;
  /** Another process that brings them, too. */
  readonly other: number | undefined;
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
  const listener = join(folder, `listen-${hash.slice(0, 16)}.pid`);
  const other = processIn(listener);
  if (other === undefined) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(listener, `${process.pid}\n`, { mode: 0o600 });
  }
  return {
    get value() {
      return value;
    },
    other,
    [Symbol.dispose]() {
      if (other === undefined) rmSync(listener, { force: true });
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

/** The process that a file names, if it still runs. A process that was killed leaves its file. */
function processIn(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    if (!(pid > 0) || pid === process.pid) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // Another user's process cannot be signalled.
    return (error as NodeJS.ErrnoException).code === "EPERM" ? Number(readFileSync(file, "utf8")) : undefined;
  }
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
