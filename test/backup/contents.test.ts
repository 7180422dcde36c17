import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { listContents } from "../../src/backup/contents.ts";
import { outsideImports } from "../../src/backup/outside-imports.ts";
import { sqliteStore } from "../../src/engines/sqlite/store.ts";
import { scratch } from "../cli/support/hookonce.ts";

const files = {
  "hookonce.toml": "version = 1",
  "handlers/stripe/paid.ts": "",
  "handlers/stripe/paid.test.ts": "",
  "migrations/0001.sql": "",
  "node_modules/dep/index.js": "",
  "deploy.sh": "",
  ".env": "A=1",
  ".env.production": "A=2",
  "secrets/github": "s",
  "keys/shop": "s",
  "data/hookonce.db": "",
  "data/old.tar": "",
  ".git/config": "",
  ".hookonce/types/hookonce.d.ts": "",
};

const belongsTo =
  (...databases: readonly string[]) =>
  (path: string): boolean =>
    databases.some((database) => sqliteStore(database).belongsTo(path));

function filesIn(folder: string, secretFiles: readonly string[] | null, database = "data/hookonce.db") {
  const isOfDatabase = belongsTo(join(folder, database));
  const { contents, leftOut } = listContents({ folder, isOfDatabase, secretFiles });
  return { files: contents.filter(({ kind }) => kind === "file").map(({ path }) => path), leftOut };
}

const KEPT = [
  "deploy.sh",
  "handlers/stripe/paid.test.ts",
  "handlers/stripe/paid.ts",
  "hookonce.toml",
  "migrations/0001.sql",
  "node_modules/dep/index.js",
];

describe("a backup", () => {
  test("holds the inbox folder without secrets, data and history, and names the secrets", () => {
    using folder = scratch(files);
    expect(filesIn(folder.path, ["keys/shop"])).toEqual({
      files: KEPT,
      leftOut: [".env", ".env.production", "keys/shop", "secrets/"],
    });
  });

  test("holds the secrets if it is asked for them", () => {
    using folder = scratch(files);
    expect(filesIn(folder.path, null)).toEqual({
      files: [
        ".env",
        ".env.production",
        ...KEPT.slice(0, 4),
        "keys/shop",
        ...KEPT.slice(4),
        "secrets/github",
      ],
      leftOut: [],
    });
  });

  test("does not hold the files that SQLite, hookonce and Litestream make beside a database in the folder itself", () => {
    using folder = scratch({
      "hookonce.toml": "",
      shop: "",
      "shop-wal": "",
      "shop-shm": "",
      "shop-journal": "",
      "shop-wal.left-2026-11-28T07-00-00-000Z": "",
      "shop.before-0001-x": "",
      "shop.copying": "",
      "shop.lock": "",
      "shop.lock.txt": "",
      "shop.lock.wanted": "",
      "shop.marker": "",
      "shop.verdict": "",
      ".shop-litestream/generation": "",
    });
    expect(filesIn(folder.path, [], "shop").files).toEqual(["hookonce.toml"]);
  });

  test("holds everything else whose name begins as that of the database does", () => {
    const mine = {
      "shop-scripts/deploy.sh": "",
      "shop.before-2026/notes.md": "",
      "shop.lock.d/x": "",
      "shop.md": "",
      "shop.walrus": "",
      shop2: "",
      "shopping/list.sql": "",
    };
    using folder = scratch({ ...mine, shop: "", "shop-wal": "" });
    expect(filesIn(folder.path, [], "shop").files).toEqual(Object.keys(mine));
    using deep = scratch({ "var/app.db": "", "var/app.db-wal": "", "var/app.db-import/rates.csv": "" });
    expect(filesIn(deep.path, [], "var/app.db").files).toEqual(["var/app.db-import/rates.csv"]);
  });

  test("does not hold the live database under another name, or what an interrupted backup left", () => {
    using folder = scratch({
      "hookonce.toml": "",
      "db/real.db": "",
      "db/real.db-wal": "",
      "db/notes.md": "",
      ".hookonce-backup-Ab12cd/database": "",
      "data/hookonce.db": "",
    });
    symlinkSync("db/real.db", join(folder.path, "app.db"));
    symlinkSync(join(folder.path, "data"), join(folder.path, "again"));
    const { contents, warnings } = listContents({
      folder: folder.path,
      isOfDatabase: belongsTo(join(folder.path, "app.db"), join(folder.path, "db/real.db")),
      secretFiles: [],
    });
    expect(contents.map(({ path }) => path)).toEqual(["db", "db/notes.md", "hookonce.toml"]);
    expect(warnings).toEqual(["again is a link into data/, which no backup holds, and is left out."]);
  });

  test("keeps links within the folder, and holds what other links lead to", () => {
    using other = scratch({ "shared/money.ts": "", key: "s" });
    using folder = scratch({ "hookonce.toml": "", "handlers/lib/a.ts": "", ".env": "" });
    symlinkSync("lib", join(folder.path, "handlers/again"));
    symlinkSync(join(other.path, "shared"), join(folder.path, "handlers/shared"));
    symlinkSync("../../nowhere", join(folder.path, "handlers/nothing"));
    symlinkSync("nowhere", join(folder.path, "handlers/later"));
    symlinkSync("..", join(folder.path, "handlers/up"));
    symlinkSync(join(folder.path, ".env"), join(folder.path, "handlers/environment"));
    mkdirSync(join(folder.path, "types"));
    symlinkSync(join(other.path, "key"), join(folder.path, "key"));
    const { contents, warnings, leftOut } = listContents({
      folder: folder.path,
      isOfDatabase: () => false,
      secretFiles: [join(other.path, "key"), ".env"],
    });
    expect(contents.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "folder handlers",
      "link handlers/again",
      "link handlers/later",
      "folder handlers/lib",
      "file handlers/lib/a.ts",
      "folder handlers/shared",
      "file handlers/shared/money.ts",
      "link handlers/up",
      "file hookonce.toml",
      "folder types",
    ]);
    expect(leftOut).toEqual([".env", "handlers/environment", "key"]);
    expect(warnings).toEqual([
      "handlers/nothing is a link to nothing, and is left out.",
      `handlers/shared is a link to ${join(other.path, "shared")}. The backup holds what is there, in place of the link.`,
    ]);
  });

  test("names what handlers import from outside the folder", () => {
    using parent = scratch({
      "lib/money.ts": "export const cents = 1;",
      "node_modules/outer/index.js": "",
      "inbox/node_modules/inner/index.js": "",
      "inbox/handlers/lib/here.ts": "",
      "inbox/handlers/stripe/paid.ts": `
import { cents } from "../../../lib/money.ts";
import "outer";
import "inner";
import "../lib/here.ts";
import "node:fs";
import "./missing.ts";
import { handler } from "hookonce";
import type { Money } from "../../../lib/types.ts";
export default handler(() => cents);
`,
      "inbox/handlers/stripe/broken.ts": "import {",
    });
    const folder = join(parent.path, "inbox");
    const { contents } = listContents({ folder, isOfDatabase: () => false, secretFiles: [] });
    expect(outsideImports(folder, contents, ["hookonce"])).toEqual([
      "handlers/stripe/paid.ts imports ../../../lib/money.ts from outside the inbox folder, which the backup does not hold.",
      "handlers/stripe/paid.ts imports ../../../node_modules/outer/index.js from outside the inbox folder, which the backup does not hold.",
    ]);
  });
});
