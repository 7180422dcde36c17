import inbox from "../../../drizzle/0000_inbox.sql" with { type: "text" };
import replies from "../../../drizzle/0001_replies.sql" with { type: "text" };
import type { Migration } from "./migrations.ts";

/** drizzle-kit's files, embedded in the binary. A file that drizzle-kit adds is added here too; a test compares the two lists. */
export const ownMigrations: readonly Migration[] = [
  { name: "0000_inbox.sql", sql: inbox },
  { name: "0001_replies.sql", sql: replies },
];
