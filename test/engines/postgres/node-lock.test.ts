import { expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { markerPathOf } from "../../../src/engines/marker.ts";
import { lockNode, nodeServedBy } from "../../../src/engines/postgres/node-lock.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

test("one process serves an inbox folder, also after the last one was killed", async () => {
  const folder = temporaryFolder("node");
  const beside = join(folder, "data", "hookonce");
  mkdirSync(join(folder, "data"));
  // What kill -9 leaves.
  writeFileSync(markerPathOf(beside), "");
  const lock = await lockNode(beside);
  expect(statSync(beside).mode & 0o777).toBe(0o600);
  expect(nodeServedBy(beside)).toContain(`process ${process.pid} `);
  const other = Bun.spawn(
    [
      process.execPath,
      "-e",
      `const { lockNode } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/engines/postgres/node-lock.ts"))});
       await lockNode(${JSON.stringify(beside)}, { waitMs: 0 }).then(() => console.log("locked"), (error) => console.log(error.code, error.message));`,
    ],
    { stdout: "pipe" },
  );
  const said = await new Response(other.stdout).text();
  expect(said).toStartWith("database_in_use This inbox folder is in use by another hookonce (process ");
  lock.release();
  expect(existsSync(beside)).toBe(false);
  (await lockNode(beside, { waitMs: 0 })).release();
  rmSync(folder, { recursive: true });
});
