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

/** The engine of an inbox folder, as its files are written for it. */
export type Dialect = "sqlite" | "postgres";

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

/** Their purposes, in the order in which a user would read them. */
const SAMPLES = {
  "migrations/0001_credits.sql": "your tables",
  "handlers/default/_any.sql": "what an event does, in SQL",
  "handlers/default/user.created.ts": "or in TypeScript",
  "handlers/default/_any.test.ts": "a first test: hookonce test",
} as const;

type Samples = Readonly<Record<keyof typeof SAMPLES, string>>;

function samplesOf(texts: Samples): InboxFile[] {
  const paths = Object.keys(SAMPLES) as (keyof Samples)[];
  return paths.map((path) => ({ path, text: texts[path], purpose: SAMPLES[path], sample: true }));
}

/** The files that `hookonce init` writes, in the order in which a user would read them. */
export const inboxFiles: readonly InboxFile[] = [
  { ...config, text: configText },
  ...samplesOf({
    "migrations/0001_credits.sql": templateText("inbox/migrations/0001_credits.sql"),
    "handlers/default/_any.sql": templateText("inbox/handlers/default/_any.sql"),
    "handlers/default/user.created.ts": templateText("inbox/handlers/default/user.created.ts"),
    "handlers/default/_any.test.ts": templateText("inbox/handlers/default/_any.test.ts"),
  }),
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

const postgresSamples: Samples = {
  "migrations/0001_credits.sql": templateText("inbox/postgres/migrations/0001_credits.sql"),
  "handlers/default/_any.sql": templateText("inbox/postgres/handlers/default/_any.sql"),
  "handlers/default/user.created.ts": templateText("inbox/postgres/handlers/default/user.created.ts"),
  "handlers/default/_any.test.ts": templateText("inbox/postgres/handlers/default/_any.test.ts"),
};

/** What differs in the other files. A test finds each of the left sides in them. */
const IN_POSTGRES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "AGENTS.md": [
    ["one SQLite transaction", "one PostgreSQL transaction"],
    [
      "| `data/` | the database. Do not edit or delete it |",
      "| `data/` | files of the running `serve`. Do not edit or delete them |",
    ],
    [
      `create tables, or write tables named
  \`hookonce_…\`, except the view \`hookonce_outbox\`.`,
      `create tables, or write tables in the
  schema \`hookonce\`, except the view \`hookonce.outbox\`.`,
    ],
    [
      "`insert into hookonce_outbox (destination, body) values ('mail', json_object(…))`",
      "`insert into hookonce.outbox (destination, body) values ('mail', jsonb_build_object(…))`",
    ],
    [
      `\`:payload\` and \`:headers\` (JSON text), as in \`:payload ->> '$.data.object.id'\`. A path that does not
  exist is NULL, without an error.`,
      `\`:payload\` and \`:headers\` (jsonb), as in \`:payload #>> '{data,object,id}'\`. A path that does not
  exist is NULL, without an error. A value is text: cast it, as in \`(:payload ->> 'cents')::bigint\`.`,
    ],
    [
      `- A TypeScript handler is synchronous: no \`async\`, no promise. It returns nothing, or a reply. In the payload, an integer
  outside ±9007199254740991 is a \`bigint\`.`,
      `- A TypeScript handler may be \`async\`, and awaits each of its queries and nothing else. It returns nothing, or a reply. An
  error of a query that it catches has spoilt its transaction, unless the query was inside \`db.transaction\`. In the
  payload, an integer outside ±9007199254740991 is a \`bigint\`.`,
    ],
    [
      `export default handler(({ event, db }) => {
  db.run(sql\``,
      `export default handler(async ({ event, db }) => {
  await db.execute(sql\``,
    ],
  ],
  ".gitignore": [["# The database. Back it up, but do not commit it.", "# Files of the running serve."]],
  "tsconfig.json": [
    [
      `"drizzle-orm/sqlite-core": ["./.hookonce/types/drizzle-orm/sqlite-core/index.d.ts"]`,
      `"drizzle-orm/pg-core": ["./.hookonce/types/drizzle-orm/pg-core/index.d.ts"]`,
    ],
  ],
};

/** A file of every inbox folder, in the dialect of PostgreSQL. */
function inPostgres(file: InboxFile, more: string): InboxFile {
  const changes = IN_POSTGRES[file.path] ?? [];
  const text = changes.reduce((before, [from, to]) => before.replace(from, () => to), file.text);
  return { ...file, text: text + more };
}

/**
 * The files for a database on PostgreSQL.
 *
 * @param url as hookonce.toml will name it
 * @param variables of .env that it names
 */
export function inboxFilesForPostgres(url: string, variables: readonly string[]): readonly InboxFile[] {
  const text = configText
    .replace(
      DATABASE_LINE,
      () => `database = ${JSON.stringify(url)} # hookonce's own tables are in its schema hookonce`,
    )
    .replace(MAX_SIZE_LINE, "");
  const secrets = variables.map((name) => `\n# How hookonce reaches its database.\n${name}=\n`).join("");
  return [
    { ...config, text },
    ...samplesOf(postgresSamples),
    ...commonFiles.map((file) => inPostgres(file, file.path === ".env" ? secrets : "")),
  ];
}
