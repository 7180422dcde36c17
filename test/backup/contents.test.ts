import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { listContents } from "../../src/backup/contents.ts";
import { outsideImports } from "../../src/backup/outside-imports.ts";
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

function filesIn(folder: string, secretFiles: readonly string[] | null, database = "data/hookonce.db") {
  const { contents, leftOut } = listContents({ folder, database, secretFiles });
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

  test("does not hold the files that SQLite and hookonce make beside a database in the folder itself", () => {
    using folder = scratch({
      "hookonce.toml": "",
      "app.db": "",
      "app.db-wal": "",
      "app.db.before-0001-x": "",
      "app.db.lock.txt": "",
    });
    expect(filesIn(folder.path, [], "app.db").files).toEqual(["hookonce.toml"]);
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
      database: "data/hookonce.db",
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
      "shared/money.ts": "export const cents = 1;",
      "node_modules/outer/index.js": "",
      "inbox/node_modules/inner/index.js": "",
      "inbox/handlers/lib/here.ts": "",
      "inbox/handlers/stripe/paid.ts": `
import { cents } from "../../../shared/money.ts";
import "outer";
import "inner";
import "../lib/here.ts";
import "node:fs";
import "./missing.ts";
import { handler } from "hookonce";
import type { Money } from "../../../shared/types.ts";
export default handler(() => cents);
`,
      "inbox/handlers/stripe/broken.ts": "import {",
    });
    const folder = join(parent.path, "inbox");
    const { contents } = listContents({ folder, database: "data/hookonce.db", secretFiles: [] });
    expect(outsideImports(folder, contents, ["hookonce"])).toEqual([
      "handlers/stripe/paid.ts imports ../../../shared/money.ts from outside the inbox folder, which the backup does not hold.",
      "handlers/stripe/paid.ts imports ../../../node_modules/outer/index.js from outside the inbox folder, which the backup does not hold.",
    ]);
  });
});
