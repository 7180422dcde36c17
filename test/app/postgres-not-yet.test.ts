import { expect, test } from "bun:test";
import { connectAdmin } from "../../src/app/apply.ts";
import { backUp } from "../../src/app/backup.ts";
import { check } from "../../src/app/check.ts";
import { openToLook } from "../../src/app/look.ts";
import { runInit } from "../../src/cli/init.ts";
import { runTry } from "../../src/cli/try.ts";
import { locationOfFlag } from "../../src/config/location.ts";
import { refusalOf, refusedStart, testInbox } from "../support/test-inbox.ts";

const URL = "postgres://app@db/shop?password=env:DB_PASSWORD";
const NOT_YET = "PostgreSQL is not available yet: write the path of a SQLite database";

const SOURCE = `[sources.default]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;

test("a config that names PostgreSQL is refused", async () => {
  for (const named of [`"${URL}"`, `["${URL}", "${URL}"]`, '"env:DATABASE_URL"']) {
    const { problems } = await refusedStart({ config: `database = ${named}\n${SOURCE}` });
    expect(problems).toEqual([
      { file: "hookonce.toml", line: 2, message: expect.stringContaining(`database: ${NOT_YET}`) },
    ]);
  }
});

test("so is --database of each command", async () => {
  await using inbox = await testInbox({
    files: {
      "handlers/default/a.ts": `import { handler } from "hookonce"; export default handler(() => {});`,
    },
  });
  await inbox.close();
  const { folder } = inbox;
  const database = locationOfFlag(folder, URL);
  const signal = new AbortController().signal;
  const backup = {
    folder,
    file: null,
    database: URL,
    secrets: false,
    overwrite: false,
    signal,
    onProgress() {},
  };
  for (const command of [
    () => openToLook({ folder, database: URL }),
    () => connectAdmin({ folder, database: URL }),
    () => runTry("handlers/default/a.ts", folder, { database: URL }),
    () => runInit(folder, { database: URL }),
    () => check(folder, { environment: null, clock: Date.now, database, forStart: true }),
  ])
    expect((await refusalOf(command)).message).toContain(NOT_YET);
  expect((await refusalOf(() => backUp(backup))).message).toContain("pg_dump");
});
