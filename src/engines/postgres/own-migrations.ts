import type { Migration } from "../store.ts";
import inbox from "../../../drizzle/postgres/0000_inbox.sql" with { type: "text" };

/**
 * The migrations of hookonce's own tables, embedded in the binary. Add each new file here: a test compares the lists.
 * Each only adds, so that nodes can be updated one after another.
 */
export const ownMigrations: readonly Migration[] = [{ name: "0000_inbox.sql", sql: inbox }];
