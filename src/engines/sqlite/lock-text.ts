import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { holderOfFile } from "./file-lock.ts";
import { writePrivateFile } from "./private-file.ts";
import { realPath } from "./real-path.ts";

/**
 * The text beside the lock file. The first line names the process that has the lock, for messages. The second
 * line is there from the first complete start on, and outlives every stop: it shows that the database was
 * made (lost-database.ts).
 */

/** Ends the first line if the holder is a command, which has no socket. */
const FOR_COMMAND = " for a command";

const SERVED = "hookonce has served this database";

export const lockFileOf = (database: string): string => `${database}.lock`;
export const lockTextOf = (database: string): string => `${lockFileOf(database)}.txt`;

/** A command that holds the lock looks for this file, and yields to a `serve` that starts. */
export const wantedFileOf = (database: string): string => `${lockFileOf(database)}.wanted`;

export function tellHolder(database: string, forCommand: boolean): void {
  const since = `since ${new Date().toISOString()}${forCommand ? FOR_COMMAND : ""}`;
  const holder = `process ${process.pid} on ${hostname()} ${since}`;
  write(database, wasServed(database) ? [holder, SERVED] : [holder]);
}

/** Call it under the lock, when the tables are in the database file and synced. */
export function tellServed(database: string): void {
  const [holder = ""] = read(database);
  write(database, [holder, SERVED]);
}

/** Whether the text says that hookonce has served the database. */
export function wasServed(database: string): boolean {
  return read(database)[1] === SERVED;
}

export function holderOf(database: string): string {
  const process = holderOfFile(database);
  // Empty if the holder could not write it, or uses the database under another name.
  const text = read(database)[0] ?? "";
  if (process === undefined || text.startsWith(`${process} `)) return text === "" ? "unknown" : text;
  return process;
}

/**
 * The process that serves the database, in words.
 *
 * @returns undefined if none does, or if it cannot be seen from here: without /proc, or from another container
 */
export function servedBy(databasePath: string): string | undefined {
  const database = realPath(databasePath);
  if (holderOfFile(database) === undefined) return undefined;
  const holder = holderOf(database);
  return holder.endsWith(FOR_COMMAND) ? undefined : holder;
}

function read(database: string): string[] {
  try {
    return readFileSync(lockTextOf(database), "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

function write(database: string, lines: readonly string[]): void {
  try {
    writePrivateFile(lockTextOf(database), `${lines.join("\n")}\n`);
  } catch {
    // For example, the disk is full. The lock holds without this file.
  }
}
