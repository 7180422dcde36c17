import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecretLookup } from "../../src/config/secrets.ts";
import { parseRequest, joinRequest } from "../../src/doctor/saved-request.ts";
import { scratch } from "../cli/support/hookonce.ts";
import { refusalOf, testInbox } from "../support/test-inbox.ts";

const MARK = "\ufeff";

const CONFIG = `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

test("every text file may begin with a byte order mark", async () => {
  await using inbox = await testInbox({
    files: {
      "hookonce.toml": `${MARK}${CONFIG}`,
      "migrations/0001.sql": `${MARK}create table ran (file text) strict;`,
      "handlers/default/sql.sql": `${MARK}insert into ran values ('sql');`,
      "handlers/default/ts.ts": `${MARK}import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ db }) => void db.run(sql\`insert into ran values ('ts')\`));`,
    },
  });
  for (const type of ["sql", "ts"])
    expect((await inbox.deliver({ event_id: type, type })).body.status).toBe("processed");
  expect(inbox.rows("select file from ran")).toEqual([{ file: "sql" }, { file: "ts" }]);
  // The mark is part of the recorded digest, so a migration that was applied with it stays the same.
  await inbox.restart();
});

test.each(["env:SECRET", "file:secret"])("a byte order mark is not part of a secret: %s", (reference) => {
  using folder = scratch({ ".env": `${MARK}SECRET=whsec_1\r\n`, secret: `${MARK}whsec_1\r\n` });
  expect(createSecretLookup(folder.path, {})(reference)).toEqual({ secret: "whsec_1" });
});

test("a file that holds only a byte order mark is an empty secret", () => {
  using folder = scratch({ secret: MARK });
  expect(createSecretLookup(folder.path, {})("file:secret")).toMatchObject({
    problem: expect.stringContaining("is empty") as string,
  });
});

test.each(["hookonce.toml", "migrations/0001.sql", "handlers/default/sql.sql"])(
  "a UTF-16 file is refused, and named: %s",
  async (file) => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": "select 1;", "handlers/default/sql.sql": "select 1;" },
    });
    writeFileSync(join(inbox.folder, file), Buffer.from(`${MARK}select 1;`, "utf16le"));
    const { message } = await refusalOf(() => inbox.restart());
    expect(message).toContain("cannot be read: the file is UTF-16. Save it as UTF-8");
  },
);

test("a secret in UTF-16 is refused", () => {
  using folder = scratch();
  writeFileSync(join(folder.path, "secret"), Buffer.from(`${MARK}whsec_1\r\n`, "utf16le"));
  expect(createSecretLookup(folder.path, {})("file:secret")).toEqual({
    problem: "file:secret cannot be read: the file is UTF-16. Save it as UTF-8",
  });
});

test("a saved request may begin with a byte order mark, and its body keeps its own", () => {
  const head = `${MARK}POST /webhook/a HTTP/1.1\r\nX-A: 1\r\n`;
  const body = Buffer.from(`${MARK}{}`);
  for (const { method, url, headers, body: read } of [
    parseRequest(Buffer.from(`${head}\r\n${MARK}{}`), 0),
    joinRequest(Buffer.from(head), body, 0),
    joinRequest(Buffer.from(`${MARK}{"x-a":"1"}`), body, 0, "/webhook/a"),
  ]) {
    expect([method, url.replace("http://localhost", ""), { ...headers }]).toEqual([
      "POST",
      "/webhook/a",
      { "x-a": "1" },
    ]);
    expect(Buffer.from(read).equals(body)).toBe(true);
  }
});
