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
  /** As they are written: URLs, or references to such. A password in a URL is only a reference. */
  readonly urls: readonly string[];
  /** The inbox folder, absolute. A node keeps its own files in it. */
  readonly folder: string;
  /**
   * Only in tests: replaces the database that the URLs name, and the path beside which a node keeps its files.
   */
  readonly scratch?: { readonly database: string; readonly beside: string } | undefined;
}

export function fileAt(path: string): FileLocation {
  return { kind: "file", path };
}

/**
 * Where the database is that the config names.
 *
 * @param inboxFolder absolute
 * @param written a path that is absolute or relative to the inbox folder, or URLs
 */
export function locationIn(inboxFolder: string, written: readonly string[]): DatabaseLocation {
  if (written.some(isPostgres)) return { kind: "postgres", urls: written, folder: inboxFolder };
  const [path = ""] = written;
  return fileAt(isAbsolute(path) ? path : join(inboxFolder, path));
}

/** The same for what is in a config that may have errors. Null if it is neither text nor a list of texts. */
export function writtenLocation(inboxFolder: string, written: unknown): DatabaseLocation | null {
  const places: unknown[] = Array.isArray(written) ? written : [written];
  const isText = places.length > 0 && places.every((place) => typeof place === "string" && place !== "");
  return isText ? locationIn(inboxFolder, places as string[]) : null;
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
  return locationIn(resolve(inboxFolder), [isPostgres(flag) ? flag : resolve(flag)]);
}

/** Whether this names PostgreSQL, and not a file. */
export function isPostgres(written: string): boolean {
  return isReference(written) || /^postgres(?:ql)?:\/\//i.test(written);
}

/** Whether the whole URL is a secret, such as `env:DATABASE_URL`. */
export function isReference(written: string): boolean {
  return /^(?:env|file):./.test(written);
}

/** How messages, logs and reports name it. */
export function nameOf(location: DatabaseLocation): string {
  return location.kind === "file" ? location.path : location.urls.map(withoutPassword).join(", ");
}

/** A URL that is refused may contain a password, although it must not. */
function withoutPassword(url: string): string {
  return url
    .replace(/^(\w+:\/\/[^:@/?]*):[^@/?]*@/, "$1@")
    .replace(/([?&]password=)(?!env:|file:)[^&]*/g, "$1…");
}

/**
 * The path beside which this node keeps its own files: the socket of `serve`, its lock, and the handler that runs.
 * Of SQLite it is the database.
 */
export function besideOf(location: DatabaseLocation): string {
  if (location.kind === "file") return location.path;
  return location.scratch?.beside ?? join(location.folder, "data", "hookonce");
}
