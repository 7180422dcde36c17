import { templateText } from "./template-text.macro.ts" with { type: "macro" };

export interface InboxFile {
  /** Relative to the inbox folder, with `/`. */
  readonly path: string;
  readonly text: string;
  /** A few words for the user who has just made the folder. */
  readonly purpose: string;
  /** Only its owner can read it. */
  readonly secret?: boolean;
}

/**
 * The files that `hookonce init` writes, in the order in which a user would read them.
 *
 * `env` and `gitignore` have no dot in this repository, because git would treat them as its own.
 */
export const inboxFiles: readonly InboxFile[] = [
  {
    path: "hookonce.toml",
    text: templateText("inbox/hookonce.toml"),
    purpose: "its address and its sources",
  },
  {
    path: "migrations/0001_credits.sql",
    text: templateText("inbox/migrations/0001_credits.sql"),
    purpose: "your tables",
  },
  {
    path: "handlers/default/_any.sql",
    text: templateText("inbox/handlers/default/_any.sql"),
    purpose: "what an event does, in SQL",
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
