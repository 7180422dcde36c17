import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { CONFIG_FILE, type Config } from "../config/load.ts";
import { besideOf, fileAt, nameOf, type FileLocation } from "../config/location.ts";
import { DEFAULT_DATABASE } from "../config/schema.ts";
import { usableSettings } from "../config/usable-settings.ts";
import type { MoveIn, MoveOut, MoveProgress } from "../engines/move.ts";
import { HookonceError } from "../errors.ts";
import { connectToServe } from "../http/admin/socket.ts";
import { openMove, openMoveFrom, storeOf } from "./store.ts";

export interface MoveOptions {
  /** Of the inbox folder whose database is on PostgreSQL. */
  readonly config: Pick<Config, "database" | "inboxFolder">;
  /** The inbox folder that moves, or its database. */
  readonly inbox: string;
  /** Stops the move between two pages. The next attempt goes on there. */
  readonly signal: AbortSignal;
  readonly onProgress: (rows: number, of: number) => void;
}

export interface MovedInbox {
  readonly from: string;
  readonly to: string;
  /** How many rows the new database has now. */
  readonly rows: number;
  readonly events: number;
  /** False if the move was stopped before its end. */
  readonly isDone: boolean;
  /** An earlier attempt has moved everything. */
  readonly wasDone: boolean;
  /** Sources that are not paused: a start applies their events at once. */
  readonly openSources: readonly string[];
}

/**
 * Moves an inbox on SQLite to PostgreSQL, with everything that hookonce knows. The user's own tables stay. Nothing may
 * serve either database meanwhile. If it is interrupted, call it again: it goes on where it was.
 *
 * @throws HookonceError `move_refused`, `inbox_moved`, `database_in_use`, `database_missing`, `database_older`,
 *   `config_invalid`, `database_unreachable`
 */
export async function moveInbox({ config, inbox, signal, onProgress }: MoveOptions): Promise<MovedInbox> {
  const from = databaseOf(resolve(inbox));
  const { database } = config;
  refuseFile(config);
  if ((await connectToServe(besideOf(database))) !== undefined)
    throw new HookonceError(
      "move_refused",
      `A hookonce serve runs on ${config.inboxFolder}. Stop it, move the inbox, and start it again.`,
    );
  const lock = await (await storeOf(from)).lock({ waitMs: 0, forCommand: true, signal });
  try {
    const { out, into } = await openMove(from, database, Date.now());
    try {
      return await moveAll(out, into, { to: nameOf(database), signal, onProgress, from: from.path });
    } finally {
      out.close();
      await into.close();
    }
  } finally {
    lock.release();
  }
}

/** Says what would move, and changes nothing. */
export async function rehearseMove({
  config,
  inbox,
}: Pick<MoveOptions, "config" | "inbox">): Promise<MovedInbox> {
  refuseFile(config);
  const from = databaseOf(resolve(inbox));
  const out = await openMoveFrom(from);
  try {
    const about = aboutOf(out);
    return { from: from.path, to: nameOf(config.database), ...about, isDone: false, wasDone: false };
  } finally {
    out.close();
  }
}

async function moveAll(
  out: MoveOut,
  into: MoveIn,
  {
    from,
    to,
    signal,
    onProgress,
  }: Pick<MovedInbox, "from" | "to"> & Pick<MoveOptions, "signal" | "onProgress">,
): Promise<MovedInbox> {
  const begun = await beginMove(out, into, to);
  const about = { from, to, ...aboutOf(out) };
  if (begun.isDone) return { ...about, isDone: true, wasDone: true };
  let { rows } = begun;
  let page = out.page(begun.cursor);
  while (page !== undefined) {
    if (signal.aborted) return { ...about, rows, isDone: false, wasDone: false };
    const written = into.write(page);
    rows += page.rows.length;
    // The next page is read while the server writes this one.
    page = out.page(page.cursor);
    await written;
    onProgress(rows, about.rows);
  }
  await into.finish(out.totals());
  return { ...about, isDone: true, wasDone: false };
}

async function beginMove(out: MoveOut, into: MoveIn, to: string): Promise<MoveProgress> {
  const { move, isNew } = out.begin(to, Date.now());
  try {
    return await into.begin(move);
  } catch (error) {
    // Nothing has begun there, so the inbox may be served again. After any other error, nobody knows.
    if (isNew && error instanceof HookonceError && error.code === "move_refused") out.takeBack();
    throw error;
  }
}

function aboutOf(out: MoveOut): Pick<MovedInbox, "rows" | "events" | "openSources"> {
  const totals = out.totals();
  const rows = totals.values().reduce((sum, table) => sum + table.rows, 0);
  return { rows, events: totals.get("events")?.rows ?? 0, openSources: out.openSources() };
}

/** The SQLite database of a folder, also if its config names PostgreSQL already. */
function databaseOf(inbox: string): FileLocation {
  const found = statSync(inbox, { throwIfNoEntry: false });
  if (found?.isFile() === true) return fileAt(inbox);
  if (found === undefined || !existsSync(join(inbox, CONFIG_FILE)))
    throw new HookonceError(
      "move_refused",
      `${inbox} ${found === undefined ? "does not exist" : `contains no ${CONFIG_FILE}`}. Name the inbox folder to move, or its database file.`,
    );
  const { database } = usableSettings(inbox);
  if (database?.kind === "file") return database;
  const usual = join(inbox, DEFAULT_DATABASE);
  if (existsSync(usual)) return fileAt(usual);
  throw new HookonceError(
    "move_refused",
    `${join(inbox, CONFIG_FILE)} names no SQLite database. Name the database file to move.`,
  );
}

function refuseFile({ database, inboxFolder }: MoveOptions["config"]): void {
  if (database.kind !== "file") return;
  throw new HookonceError(
    "move_refused",
    `An inbox moves to PostgreSQL, and database in ${join(inboxFolder, CONFIG_FILE)} names a file. Set it to a URL, as in database = "postgres://app@db.example.com/shop?password=env:DB_PASSWORD".`,
  );
}
