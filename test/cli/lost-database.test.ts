import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { join } from "node:path";
import {
  describeUnless,
  needsLinux,
  onlyInFullRun,
  testInFullRun,
  testUnless,
} from "../crash/requirements.ts";
import {
  inboxFiles,
  paid,
  run,
  scratch,
  serve,
  start,
  type Scratch,
  type Serving,
} from "./support/hookonce.ts";

const databaseOf = ({ path }: Scratch): string => join(path, "data/hookonce.db");

/** Serves one event and ends the process with a signal. */
async function serveOnce(folder: Scratch, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  await using server = await serve(folder.path);
  expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
  server.signal(signal);
  await server.ended;
}

/** Starts a process that must refuse to serve, and returns its error. */
async function refused(folder: Scratch): Promise<string> {
  await using started = start(folder.path);
  const { code, stdout, stderr } = await started.ended;
  expect(code).not.toBe(0);
  return stdout + stderr;
}

/** Deletes the files that the refusal names after "delete these files:". */
function deleteNamed(folder: Scratch, refusal: string): void {
  const named = /delete these files: ([^"\n\\]+)/.exec(refusal)?.[1]?.trim().split(" ") ?? [];
  expect(named.length).toBeGreaterThan(0);
  for (const each of named) {
    expect(each.startsWith(databaseOf(folder))).toBe(true);
    rmSync(each);
  }
}

const losses = [
  { name: "deleted", lose: (database: string) => rmSync(database), told: "is gone" },
  { name: "emptied", lose: (database: string) => truncateSync(database, 0), told: "is empty (0 bytes)" },
];

describe("a start does not begin with an empty database", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const { name, lose, told } of losses) {
      const always = signal === "SIGKILL" && name === "deleted";
      testUnless(
        always ? undefined : onlyInFullRun(),
        `if the database was ${name} after ${signal}`,
        async () => {
          using folder = scratch(inboxFiles);
          const database = databaseOf(folder);
          await serveOnce(folder, signal);
          lose(database);
          const refusal = await refused(folder);
          expect(refusal).toContain("database_missing");
          expect(refusal).toContain(`The database ${database} ${told}`);
          expect(refusal).toContain(`${database}.lock.txt`);
          // The refused start has made nothing that the next one would take for a database.
          expect(await refused(folder)).toContain("database_missing");
          for (const command of [
            ["check", folder.path],
            ["apply", "--folder", folder.path],
            ["apply", "--dry-run", "--folder", folder.path],
          ]) {
            const { code, stdout, stderr } = await run(command);
            expect(code).toBe(1);
            expect(stdout + stderr).toContain(`The database ${database} ${told}`);
          }
          deleteNamed(folder, refusal);
          await using server = await serve(folder.path);
          expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
        },
        30_000,
      );
    }
  }

  testUnless(
    onlyInFullRun(),
    "and goes on with the old one once it is put back",
    async () => {
      using folder = scratch(inboxFiles);
      const database = databaseOf(folder);
      await serveOnce(folder, "SIGKILL");
      renameSync(database, `${database}.away`);
      expect(await refused(folder)).toContain("database_missing");
      renameSync(`${database}.away`, database);
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "behind a symbolic link to the database that is gone",
    async () => {
      using folder = scratch(inboxFiles);
      const database = databaseOf(folder);
      const elsewhere = join(folder.path, "elsewhere.db");
      await serveOnce(folder, "SIGTERM");
      rmSync(join(folder.path, "data"), { recursive: true });
      folder.write({ "data/keep": "" });
      symlinkSync(elsewhere, database);
      await serveOnce(folder, "SIGKILL");
      rmSync(elsewhere);
      expect(await refused(folder)).toContain(`${elsewhere}.marker`);
    },
    30_000,
  );
});

describeUnless(needsLinux() ?? onlyInFullRun(), "after serve ended because its database was deleted", () => {
  test("the next start is refused", async () => {
    using folder = scratch(inboxFiles);
    {
      await using server: Serving = await serve(folder.path);
      expect((await server.post("/webhook", paid)).status).toBe(200);
      rmSync(databaseOf(folder));
      expect(await server.post("/webhook", { ...paid, event_id: "evt_2" }).catch(() => "ended")).toBe(
        "ended",
      );
      expect((await server.ended).code).toBe(1);
    }
    expect(await refused(folder)).toContain("database_missing");
  }, 30_000);
});

describe("a first start is never refused", () => {
  testInFullRun(
    "after first starts that were killed at any moment",
    async () => {
      using folder = scratch(inboxFiles);
      for (let delay = 0; delay < 300; delay += 60) {
        await using started = start(folder.path);
        await Bun.sleep(delay);
        started.signal("SIGKILL");
        await started.ended;
      }
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "after one that was refused",
    async () => {
      using folder = scratch({ ...inboxFiles, "migrations/0001_bad.sql": "create tabel x (n);" });
      expect(await refused(folder)).toContain("0001_bad.sql");
      rmSync(join(folder.path, "migrations/0001_bad.sql"));
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "after the files of a lost database were deleted with it",
    async () => {
      using folder = scratch(inboxFiles);
      await serveOnce(folder, "SIGKILL");
      for (const name of readdirSync(join(folder.path, "data"))) rmSync(join(folder.path, "data", name));
      await serveOnce(folder, "SIGTERM");
      expect(existsSync(databaseOf(folder))).toBe(true);
    },
    30_000,
  );
});
