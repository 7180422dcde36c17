import { templateText } from "./template-text.macro.ts" with { type: "macro" };

export interface InboxFile {
  /** Relative to the inbox folder, with `/`. */
  readonly path: string;
  readonly text: string;
  /** A few words for the user who has just made the folder. */
  readonly purpose: string;
  /** Only its owner can read it. */
  readonly secret?: boolean;
  /** Shows how it is done, and is not needed. */
  readonly sample?: boolean;
  /** Left out if a link or a folder has its name. */
  readonly optional?: boolean;
}

const config = { path: "hookonce.toml", purpose: "its address and its sources" };
const configText = templateText("inbox/hookonce.toml");

/** `env` and `gitignore` have no dot in this repository, because git would treat them as its own. */
const commonFiles: readonly InboxFile[] = [
  {
    path: "AGENTS.md",
    text: templateText("inbox/AGENTS.md"),
    purpose: "how to write a handler; coding agents read it, too",
    optional: true,
  },
  { path: ".env", text: templateText("inbox/env"), purpose: "your secrets", secret: true },
  { path: ".gitignore", text: templateText("inbox/gitignore"), purpose: "keeps data and secrets out of git" },
  { path: "tsconfig.json", text: templateText("inbox/tsconfig.json"), purpose: "for your editor" },
];

/** The files that `hookonce init` writes, in the order in which a user would read them. */
export const inboxFiles: readonly InboxFile[] = [
  { ...config, text: configText },
  {
    path: "migrations/0001_credits.sql",
    text: templateText("inbox/migrations/0001_credits.sql"),
    purpose: "your tables",
    sample: true,
  },
  {
    path: "handlers/default/_any.sql",
    text: templateText("inbox/handlers/default/_any.sql"),
    purpose: "what an event does, in SQL",
    sample: true,
  },
  {
    path: "handlers/default/user.created.ts",
    text: templateText("inbox/handlers/default/user.created.ts"),
    purpose: "or in TypeScript",
    sample: true,
  },
  {
    path: "handlers/default/_any.test.ts",
    text: templateText("inbox/handlers/default/_any.test.ts"),
    purpose: "a first test: hookonce test",
    sample: true,
  },
  ...commonFiles,
];

const DATABASE_LINE = /^database = .*$/m;
/** It would count the application's tables, too, and remove every payload from a large database. */
const MAX_SIZE_LINE = /^max_size = .*\n/m;
const SAMPLE_SOURCE = /^# For development[^]*?\n\n(?=# This file)/m;

/**
 * The files for an application that has a SQLite database already: no sample table and no unsigned source.
 *
 * @param database as hookonce.toml will name it
 */
export function inboxFilesFor(database: string): readonly InboxFile[] {
  const text = configText
    // A function, because a $ in the path would be read as a pattern.
    .replace(DATABASE_LINE, () => `database = ${JSON.stringify(database)} # your application's own`)
    .replace(MAX_SIZE_LINE, "")
    .replace(SAMPLE_SOURCE, "# To add a source: hookonce add PROVIDER\n\n");
  return [{ ...config, text }, ...commonFiles];
}
