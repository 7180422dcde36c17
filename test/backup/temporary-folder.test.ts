import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { makeTemporaryFolder } from "../../src/backup/temporary-folder.ts";
import { scratch } from "../cli/support/hookonce.ts";

const PREFIX = ".hookonce-backup-";

test("a folder is removed as soon as its process has ended, and only then", async () => {
  using folder = scratch();
  const module = join(import.meta.dir, "../../src/backup/temporary-folder.ts");
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `const { makeTemporaryFolder } = await import(${JSON.stringify(module)});
       console.log(makeTemporaryFolder(${JSON.stringify(folder.path)}, ${JSON.stringify(PREFIX)}));
       setInterval(() => {}, 1000);`,
    ],
    { stdout: "pipe" },
  );
  const reader = child.stdout.getReader();
  const made = new TextDecoder().decode((await reader.read()).value).trim();
  expect(dirname(made)).toBe(folder.path);
  const mine = makeTemporaryFolder(folder.path, PREFIX);
  expect(statSync(mine).mode & 0o777).toBe(0o700);
  expect([existsSync(made), existsSync(mine)]).toEqual([true, true]);
  child.kill("SIGKILL");
  await child.exited;
  const next = makeTemporaryFolder(folder.path, PREFIX);
  expect(readdirSync(folder.path).sort()).toEqual([basename(mine), basename(next)].sort());
});

test("a folder of another machine is removed after a day", () => {
  using folder = scratch({ "mine/a": "" });
  const names = [`${PREFIX}1-elsewhere-Ab12cd`, `${PREFIX}Ab12cd`, `${PREFIX}2-${hostname()}x-Ab12cd`];
  for (const name of names) mkdirSync(join(folder.path, name));
  makeTemporaryFolder(folder.path, PREFIX);
  expect(readdirSync(folder.path)).toEqual(expect.arrayContaining(names));
  for (const name of names) utimesSync(join(folder.path, name), 0, 0);
  const made = makeTemporaryFolder(folder.path, PREFIX);
  const left = readdirSync(folder.path);
  expect(left).toEqual(expect.not.arrayContaining(names));
  expect(left).toEqual(expect.arrayContaining(["mine", basename(made)]));
});
