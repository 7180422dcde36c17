import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findHandlers } from "../../src/handlers/find.ts";
import { scratch } from "../cli/support/hookonce.ts";

/**
 * The files in handlers/ with what is said of each. Files that run, and those that nothing is said of, are
 * left out.
 */
function saidOf(
  files: readonly string[],
  prepare: (folder: string) => void = () => {},
): Record<string, string> {
  using inbox = scratch(Object.fromEntries(files.map((file) => [`handlers/${file}`, "select 1;"])));
  prepare(join(inbox.path, "handlers"));
  const { problems, warnings, files: running } = findHandlers(inbox.path, ["default"]);
  for (const { file } of running)
    expect([...problems, ...warnings].map((one) => one.file)).not.toContain(file);
  return Object.fromEntries([...problems, ...warnings].map(({ file, message }) => [String(file), message]));
}

test("every file among the handlers that will not run is named, with the reason", () => {
  const notHandler =
    "never runs: only .sql and .ts files are handlers. Move the file out of handlers/, or to handlers/lib/";
  const said = saidOf(
    [
      "default/fine.sql",
      "default/UPPER.SQL",
      "default/Mixed.Ts",
      "default/foo.py",
      "default/deep/er/notes.txt",
      "default/README.md",
      "default/invoice.paid",
      "stray.yaml",
    ],
    (handlers) => {
      symlinkSync(join(handlers, "nowhere.sql"), join(handlers, "default/dangling.sql"));
      symlinkSync(join(handlers, "nowhere"), join(handlers, "dangling"));
      Bun.spawnSync(["mkfifo", join(handlers, "default/pipe.sql")]);
    },
  );
  expect(said).toEqual({
    "handlers/default/UPPER.SQL":
      "never runs: the ending of a handler must be in lower case. Rename the file to UPPER.sql",
    "handlers/default/Mixed.Ts":
      "never runs: the ending of a handler must be in lower case. Rename the file to Mixed.ts",
    "handlers/default/foo.py": notHandler,
    "handlers/default/deep/er/notes.txt": notHandler,
    "handlers/default/README.md": notHandler,
    "handlers/default/invoice.paid": notHandler,
    "handlers/stray.yaml": notHandler,
    "handlers/default/dangling.sql": "never runs: this link leads to nothing. Correct or remove it",
    "handlers/dangling": "never runs: this link leads to nothing. Correct or remove it",
    "handlers/default/pipe.sql": "never runs: this is neither a file nor a folder. Remove it",
  });
});

test("tests and their fixtures are neither handlers nor named", () => {
  expect(
    saidOf([
      "default/paid.test.ts",
      "default/orders/paid.test.ts",
      "default/fixtures/paid.json",
      "default/fixtures/paid.sql",
      "default/fixtures/old/paid.ts",
      "lib/sums.test.ts",
    ]),
  ).toEqual({});
});

test("files of editors, systems and package managers are not named", () => {
  const junk = [
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    ".paid.sql.swp",
    "paid.sql.swo",
    "paid.sql~",
    "#paid.sql#",
    "paid.sql.bak",
    "paid.sql.orig",
    "paid.ts.tmp",
    ".gitkeep",
    "tsconfig.json",
    "package.json",
    "bun.lock",
  ];
  const said = saidOf(
    junk.flatMap((name) => [name, `default/${name}`]),
    (handlers) => {
      for (const folder of ["node_modules/x", "default/node_modules/x"]) {
        mkdirSync(join(handlers, folder), { recursive: true });
        writeFileSync(join(handlers, folder, "index.js"), "");
      }
    },
  );
  expect(said).toEqual({});
});

test("tests, types and lib/ are not named", () => {
  expect(saidOf(["default/paid.test.ts", "default/types.d.ts", "lib/data.json", "lib/UPPER.SQL"])).toEqual(
    {},
  );
});
