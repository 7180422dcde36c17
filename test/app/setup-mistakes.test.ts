import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "../../src/app/check.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

async function checked(config: string, environment: Record<string, string>) {
  const folder = temporaryFolder("setup");
  try {
    writeFileSync(join(folder, "hookonce.toml"), `version = 1\n${config}`);
    const { problems, warnings } = await check(folder, { environment, clock: Date.now });
    return {
      problems: problems.map(({ message }) => message),
      warnings: warnings.map(({ message }) => message),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each(["query:?key=", "query:key=", "query:?key", "query:a&key"])(
  "secret_in = %s is refused, because no parameter has such a name",
  async (secretIn) => {
    const source = `[sources.keyed]\nprovider = "static"\nsecret = "env:S"\nsecret_in = "${secretIn}"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;
    const { problems } = await checked(source, { S: "a-secret-1" });
    expect(problems).toEqual([
      expect.stringMatching(/^sources\.keyed\.secret_in: .*parameter alone, such as query:token/),
    ]);
    expect((await checked(source.replace(secretIn, "query:key"), { S: "a-secret-1" })).problems).toEqual([]);
  },
);

test("a source that waits for its provider's secret gets a warning until it has it", async () => {
  const notion = '[sources.pages]\nprovider = "notion"\n';
  const { problems, warnings } = await checked(notion, {});
  expect(problems).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/^sources\.pages: it has no secret yet, .* secret = "env:PAGES_WEBHOOK_SECRET"/),
  ]);
  expect((await checked(`${notion}secret = "env:S"\n`, { S: "a-secret-1" })).warnings).toEqual([]);
});
