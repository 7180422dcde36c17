import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NOTHING_FOUND } from "../../src/app/check-process.ts";
import { secretNeeds } from "../../src/app/sources.ts";
import { whatCannotChange } from "../../src/app/unchangeable.ts";
import { readConfig, type Config } from "../../src/config/load.ts";
import { fileAt, nameOf } from "../../src/config/location.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const BEFORE = {
  listen: '"127.0.0.1:8787"',
  database: '"data/hookonce.db"',
  admin: '"127.0.0.1:8788"',
};

function configWith(change: Partial<typeof BEFORE> = {}): Config {
  const { listen, database, admin } = { ...BEFORE, ...change };
  const folder = temporaryFolder("unchangeable");
  try {
    writeFileSync(
      join(folder, "hookonce.toml"),
      `version = 1\nlisten = ${listen}\ndatabase = ${database}\n[admin]\nlisten = ${admin}\n[sources.shop]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`,
    );
    const { config } = readConfig(folder, secretNeeds, {});
    // Each folder has another name.
    return {
      ...(config as Config),
      database: fileAt(nameOf((config as Config).database).replace(folder, "")),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const refused = (change: Partial<typeof BEFORE>, dropped: readonly string[] = []): string[] =>
  whatCannotChange({
    before: configWith(),
    config: configWith(change),
    found: NOTHING_FOUND,
    dropped,
    owed: [],
  }).map(({ file, message }) => `${file}: ${message}`);

const RESTART = "A reload cannot change it: restart hookonce serve, or restore it";

test.each([
  [{}, []],
  [{ listen: '"127.0.0.1:9000"' }, 'listen is now "127.0.0.1:9000", and hookonce runs with "127.0.0.1:8787"'],
  [{ listen: '"0.0.0.0:8787"' }, 'listen is now "0.0.0.0:8787", and hookonce runs with "127.0.0.1:8787"'],
  [
    { database: '"data/other.db"' },
    "database is now /data/other.db, and hookonce runs with /data/hookonce.db",
  ],
  [{ admin: '"off"' }, 'admin.listen is now "off", and hookonce runs with "127.0.0.1:8788"'],
] as const)("a reload that changes %j is refused, with both values and the remedy", (change, said) => {
  expect(refused(change)).toEqual(typeof said === "string" ? [`hookonce.toml: ${said}. ${RESTART}`] : []);
});

test("--drop-source names a source that is served and gone", () => {
  expect(refused({}, ["shop"])).toEqual([
    "hookonce.toml: --drop-source shop: the source is still there. Delete [sources.shop] first",
  ]);
  expect(refused({}, ["shp"])).toEqual([
    "hookonce.toml: --drop-source shp: there is no source of this name; did you mean shop?",
  ]);
});
