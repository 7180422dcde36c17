import { isAbsolute, join, resolve } from "node:path";

/** Where the database is. Plain data, so that it can be handed to a child process. It contains no password. */
export type DatabaseLocation = FileLocation | PostgresLocation;

/** A SQLite database. */
export interface FileLocation {
  readonly kind: "file";
  /** Absolute. */
  readonly path: string;
}

/** A PostgreSQL database, on one server or on several of which one is the primary. */
export interface PostgresLocation {
  readonly kind: "postgres";
  /** As they are written. A password in them is only a reference, such as `env:NAME`. */
  readonly urls: readonly string[];
  /** The inbox folder, absolute. A node keeps its own files in it. */
  readonly folder: string;
}

/** Until the engine is complete, no config and no command may name such a database. */
export const POSTGRES_NOT_YET =
  'PostgreSQL is not available yet: write the path of a SQLite database, as in database = "data/hookonce.db"';

export function fileAt(path: string): FileLocation {
  return { kind: "file", path };
}

/**
 * Where the database is that the config names.
 *
 * @param inboxFolder absolute
 * @param written a path that is absolute or relative to the inbox folder, or a URL
 */
export function locationIn(inboxFolder: string, written: string): DatabaseLocation {
  if (isPostgresUrl(written)) return { kind: "postgres", urls: [written], folder: inboxFolder };
  return fileAt(isAbsolute(written) ? written : join(inboxFolder, written));
}

/**
 * The database that a command uses: the one that `--database` names, else the config's.
 *
 * @param flag a path relative to the working directory, or a URL
 */
export function chosenLocation(
  { inboxFolder, database }: { readonly inboxFolder: string; readonly database: DatabaseLocation },
  flag: string | undefined,
): DatabaseLocation {
  return locationOfFlag(inboxFolder, flag) ?? database;
}

/** The same, if the config may have errors. */
export function locationOfFlag(inboxFolder: string, flag: string | undefined): DatabaseLocation | undefined {
  if (flag === undefined) return undefined;
  return locationIn(resolve(inboxFolder), isPostgresUrl(flag) ? flag : resolve(flag));
}

export function isPostgresUrl(written: string): boolean {
  return /^postgres(?:ql)?:\/\//i.test(written);
}

/** How messages, logs and reports name it. */
export function nameOf(location: DatabaseLocation): string {
  return location.kind === "file" ? location.path : location.urls.join(", ");
}

/**
 * The path beside which this node keeps its own files: the socket of `serve`, its lock, and the handler that runs.
 * Of SQLite it is the database.
 */
export function besideOf(location: DatabaseLocation): string {
  return location.kind === "file" ? location.path : join(location.folder, "data", "hookonce");
}
