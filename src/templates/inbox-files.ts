import { templateText } from "./template-text.macro.ts" with { type: "macro" };

export interface InboxFile {
  /** Relative to the inbox folder, with `/`. */
  readonly path: string;
  readonly text: string;
  /** A few words for who has just made the folder. */
  readonly purpose: string;
  /** Readable by its owner alone. */
  readonly secret?: boolean;
}

/**
 * What `hookonce init` puts into a folder, in the order in which one would read it.
 *
 * `env` and `gitignore` have no dot in this repository, where git would take them for its own.
 */
export const inboxFiles: readonly InboxFile[] = [
  {
    path: "hookonce.toml",
    text: templateText("inbox/hookonce.toml"),
    purpose: "where it listens, and who may send",
  },
  {
    path: "migrations/0001_credits.sql",
    text: templateText("inbox/migrations/0001_credits.sql"),
    purpose: "your tables",
  },
  {
    path: "handlers/default/_any.sql",
    text: templateText("inbox/handlers/default/_any.sql"),
    purpose: "what an event does to them, in SQL",
  },
  {
    path: "handlers/default/user.created.ts",
    text: templateText("inbox/handlers/default/user.created.ts"),
    purpose: "or in TypeScript",
  },
  { path: ".env", text: templateText("inbox/env"), purpose: "your secrets", secret: true },
  { path: ".gitignore", text: templateText("inbox/gitignore"), purpose: "keeps data and secrets out of git" },
  { path: "tsconfig.json", text: templateText("inbox/tsconfig.json"), purpose: "for your editor" },
];
