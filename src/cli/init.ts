import { closeSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { readLocation } from "../config/database-problems.ts";
import { isPostgres } from "../config/location.ts";
import { HookonceError } from "../errors.ts";
import { inboxFiles } from "../templates/inbox-files.ts";
import { EXIT } from "./exit.ts";
import { hasUnsignedSource, writeInbox, type InitResult } from "./write-inbox.ts";
import { say } from "./terminal.ts";

export interface InitFlags {
  /** The application's own SQLite database, relative to the working directory, or a URL of PostgreSQL. */
  database?: string;
}

/**
 * `hookonce init`: makes an inbox folder, and prints the commands to type next.
 *
 * @param given the folder; if absent, `hookonce` beside the database, or the working directory without one
 */
export function runInit(given: string | undefined, { database }: InitFlags): number {
  if (database === undefined) {
    const folder = given ?? ".";
    const result = writeInbox(folder);
    say(initSummary(result, folder, hasUnsignedSource(folder)).trimEnd());
    return EXIT.done;
  }
  if (isPostgres(database)) return initOnPostgres(given ?? ".", database);
  const exists = findDatabase(database);
  const folder = given ?? join(dirname(database), "hookonce");
  const named = isAbsolute(database) ? database : slashed(relative(resolve(folder), resolve(database)));
  const result = writeInbox(folder, named);
  say(databaseSummary(result, folder, database, exists).trimEnd());
  return EXIT.done;
}

/** Makes an inbox folder for a database on PostgreSQL, which need not be running. */
function initOnPostgres(folder: string, url: string): number {
  const { problems, references } = readLocation({ kind: "postgres", urls: [url], folder: resolve(folder) });
  if (problems.length > 0)
    throw new HookonceError(
      "config_invalid",
      `--database: ${problems.map(({ message }) => message).join(". --database: ")}.`,
    );
  const result = writeInbox(folder, url);
  const lines = initSummary(result, folder, hasUnsignedSource(folder)).trimEnd().split("\n");
  const missing = references.map((reference) => reference.replace(/^env:(.*)$/, "$1=… in .env"));
  if (missing.length > 0)
    lines.push("Before that, write how hookonce reaches the database:", `  ${missing.join(", ")}`);
  say(lines.join("\n"));
  return EXIT.done;
}

/**
 * @returns whether the database exists
 * @throws HookonceError `config_invalid` if there can be no database at this path
 */
function findDatabase(path: string): boolean {
  if (/^\w{2,}:/.test(path))
    throw new HookonceError("config_invalid", `--database ${path}: name a SQLite file, not a URL.`);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true)
    throw new HookonceError("config_invalid", `--database ${path}: this is a folder. Name the file in it.`);
  if (found !== undefined && !isSqlite(path))
    throw new HookonceError(
      "config_invalid",
      `--database ${path}: this is not a SQLite database. Name your application's SQLite file.`,
    );
  const folder = dirname(path);
  if (found === undefined && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new HookonceError(
      "config_invalid",
      `--database ${path}: the folder ${folder} does not exist. Correct the path, or make the folder.`,
    );
  return found !== undefined;
}

/** https://sqlite.org/fileformat2.html#the_database_header. An empty file is an empty database. */
function isSqlite(path: string): boolean {
  const header = Buffer.alloc(16);
  const descriptor = openSync(path, "r");
  try {
    const length = readSync(descriptor, header, 0, header.length, 0);
    return length === 0 || header.toString("latin1") === "SQLite format 3\0";
  } finally {
    closeSync(descriptor);
  }
}

function slashed(path: string): string {
  return process.platform === "win32" ? path.replaceAll("\\", "/") : path;
}

/** What `hookonce init` prints: the files it made, and the commands to type next. */
export function initSummary(result: InitResult, folder: string, unsigned = true): string {
  const lines = [
    ...filesIn(result, folder),
    "",
    `Start hookonce${unsigned ? " (--dev, because its source is unsigned)" : ""}:`,
    `  hookonce serve ${unsigned ? "--dev " : ""}${shellWord(folder)}`,
  ];
  // The user's own hookonce.toml may listen elsewhere, and may have no source that accepts this event.
  if (result.written.includes("hookonce.toml")) {
    lines.push(
      "Then send it an event from another terminal. Send it twice: it is applied once.",
      `  curl -H 'content-type: application/json' -d '${JSON.stringify(firstEvent)}' http://127.0.0.1:8787/webhook`,
    );
  }
  return `${lines.join("\n")}\n`;
}

const firstEvent = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };

/** The same for an inbox folder beside an application's database. */
function databaseSummary(result: InitResult, folder: string, database: string, exists: boolean): string {
  const file = basename(database);
  const word = shellWord(folder);
  const lines = [
    ...(exists
      ? []
      : [
          `The database ${database} does not exist. hookonce will make it at its first start.`,
          `If you meant another file, correct database in ${join(folder, "hookonce.toml")}.`,
          "",
        ]),
    ...filesIn(result, folder),
    "",
    `hookonce adds tables named hookonce_… to ${file}, and files beside it. Add these two lines to the .gitignore in ${dirname(resolve(database))}:`,
    `  ${file}-*`,
    `  ${file}.*`,
    "",
    "Next:",
    `  hookonce add stripe --folder ${word}   (for the list: hookonce providers)`,
    `  hookonce check ${word}`,
    `  hookonce serve ${word}`,
  ];
  return `${lines.join("\n")}\n`;
}

function filesIn({ written, kept }: InitResult, folder: string): string[] {
  if (written.length === 0) return [`Nothing to write: ${folder} is complete.`];
  const width = Math.max(...written.map((path) => path.length));
  const lines = [
    `Wrote to ${folder}:`,
    ...written.map((path) => `  ${path.padEnd(width)}  ${purposeOf(path)}`),
  ];
  if (kept.length > 0) lines.push(`Left unchanged: ${kept.join(", ")}`);
  return lines;
}

function purposeOf(path: string): string {
  return inboxFiles.find((file) => file.path === path)?.purpose ?? "types for your editor";
}

/** Quotes a text so that a shell reads it as one word, and the command does not read it as an option. */
export function shellWord(text: string): string {
  const word = text.startsWith("-") ? `./${text}` : text;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
