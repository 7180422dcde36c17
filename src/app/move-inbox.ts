import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { CONFIG_FILE, type Config } from "../config/load.ts";
import { besideOf, fileAt, nameOf, type FileLocation } from "../config/location.ts";
import { DEFAULT_DATABASE } from "../config/schema.ts";
import { usableSettings } from "../config/usable-settings.ts";
import type { MoveIn, MoveOut } from "../engines/move.ts";
import { HookonceError } from "../errors.ts";
import { connectToServe } from "../http/admin/socket.ts";
import { openMove, storeOf } from "./store.ts";

export interface MoveOptions {
  /** Of the inbox folder whose database is on PostgreSQL. */
  readonly config: Pick<Config, "database" | "inboxFolder">;
  /** The inbox folder that moves, or its database. */
  readonly inbox: string;
  /** Ends it between two pages. The next attempt goes on there. */
  readonly signal: AbortSignal;
  readonly onProgress: (rows: number, of: number) => void;
}

export interface MovedInbox {
  readonly from: string;
  readonly to: string;
  /** How many rows are there now. */
  readonly rows: number;
  /** False if it was ended before that. */
  readonly isDone: boolean;
}

/**
 * Moves an inbox on SQLite to PostgreSQL, with everything that hookonce knows. The user's own tables stay. Nothing may
 * serve either database meanwhile. It can be repeated, and goes on where it was.
 *
 * @throws HookonceError `move_refused`, `inbox_moved`, `database_in_use`, `database_missing`, `database_older`,
 *   `config_invalid`, `database_unreachable`
 */
export async function moveInbox({ config, inbox, signal, onProgress }: MoveOptions): Promise<MovedInbox> {
  const from = databaseOf(resolve(inbox));
  await refuseServed(config);
  const lock = await (await storeOf(from)).lock({ waitMs: 0, forCommand: true, signal });
  try {
    const { out, into } = await openMove(from, config.database, Date.now());
    try {
      return await moveAll(out, into, { to: nameOf(config.database), signal, onProgress, from: from.path });
    } finally {
      out.close();
      await into.close();
    }
  } finally {
    lock.release();
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
  const begun = await into.begin(out.begin(to, Date.now()));
  const all = out.count();
  let { rows } = begun;
  let page = out.page(begun.cursor);
  while (page !== undefined) {
    if (signal.aborted) return { from, to, rows, isDone: false };
    const written = into.write(page);
    rows += page.rows.length;
    // The next page is read while the server writes this one.
    page = out.page(page.cursor);
    await written;
    onProgress(rows, all);
  }
  await into.finish();
  return { from, to, rows, isDone: true };
}

/** The SQLite database of a folder, also if its config names PostgreSQL already. */
function databaseOf(inbox: string): FileLocation {
  const found = statSync(inbox, { throwIfNoEntry: false });
  if (found?.isFile() === true) return fileAt(inbox);
  if (found === undefined || !existsSync(join(inbox, CONFIG_FILE)))
    throw new HookonceError(
      "move_refused",
      `${inbox} ${found === undefined ? "does not exist" : `contains no ${CONFIG_FILE}`}. Name the inbox folder that moves, or its database file.`,
    );
  const { database } = usableSettings(inbox);
  if (database?.kind === "file") return database;
  const usual = join(inbox, DEFAULT_DATABASE);
  if (existsSync(usual)) return fileAt(usual);
  throw new HookonceError(
    "move_refused",
    `${join(inbox, CONFIG_FILE)} names no SQLite database. Name the database file that moves.`,
  );
}

/** A node elsewhere is refused by the lock that its connections hold. */
async function refuseServed({ database, inboxFolder }: MoveOptions["config"]): Promise<void> {
  if (database.kind === "file")
    throw new HookonceError(
      "move_refused",
      `An inbox moves to PostgreSQL, and database in ${join(inboxFolder, CONFIG_FILE)} names a file. Set it to a URL, as in database = "postgres://app@db.example.com/shop?password=env:DB_PASSWORD".`,
    );
  if ((await connectToServe(besideOf(database))) !== undefined)
    throw new HookonceError(
      "move_refused",
      `A hookonce serve runs on ${inboxFolder}. Stop it, move the inbox, and start it again.`,
    );
}
