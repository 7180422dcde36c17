import { expect, test } from "bun:test";
import { existsSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, paid, scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import {
  describeUnless,
  needsCommand,
  needsLinux,
  onlyInFullRun,
  testUnless,
} from "../crash/requirements.ts";

const FATAL = "ended without answering: files of the database are no longer in place";

const UNLOCKED = "ended without answering: SQLite's locks on the database were dropped";

/** Delivers an event that must not be answered, and returns why the process ended. */
async function endsUnanswered(
  server: Serving,
  event: object,
  code = "database_moved",
  message = FATAL,
): Promise<string> {
  const answer = await server.post("/webhook", { ...paid, ...event }).catch(() => undefined);
  expect(answer).toBeUndefined();
  expect((await server.ended).code).toBe(1);
  const line = await server.logged(message);
  expect(line).toMatchObject({ level: "fatal", code });
  return String(line["cause"]);
}

describeUnless(needsLinux() ?? onlyInFullRun(), "serve ends and answers nothing", () => {
  test("if its log is deleted: after a restart, answered events are duplicates", async () => {
    using folder = scratch(inboxFiles);
    const database = join(folder.path, "data/hookonce.db");
    {
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).status).toBe(200);
      rmSync(`${database}-wal`);
      expect(await endsUnanswered(server, { event_id: "evt_2" })).toContain(`${database}-wal is gone`);
    }
    await using server = await serve(folder.path);
    expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
    expect((await server.post("/webhook", { ...paid, event_id: "evt_3" })).body["status"]).toBe("processed");
  }, 30_000);

  test("if its database is moved: put back, it has every answered event", async () => {
    using folder = scratch(inboxFiles);
    const database = join(folder.path, "data/hookonce.db");
    {
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).status).toBe(200);
      renameSync(database, join(folder.path, "away.db"));
      expect(await endsUnanswered(server, { event_id: "evt_2" })).toContain(`${database} is gone`);
    }
    rmSync(`${database}-wal`, { force: true });
    rmSync(`${database}-shm`, { force: true });
    renameSync(join(folder.path, "away.db"), database);
    await using server = await serve(folder.path);
    expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
  }, 30_000);

  test("if its log is truncated, and a restart applies what was lost", async () => {
    using folder = scratch(inboxFiles);
    const log = join(folder.path, "data/hookonce.db-wal");
    {
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", paid)).status).toBe(200);
      truncateSync(log);
      expect(await endsUnanswered(server, { event_id: "evt_2" })).toContain(
        `${log} was truncated or overwritten`,
      );
    }
    await using server = await serve(folder.path);
    expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
  }, 30_000);

  test("if a handler reads the index of the log; the second time, only its event is skipped", async () => {
    using folder = scratch({
      ...inboxFiles,
      "handlers/default/reads.ts": `import { readFileSync } from "node:fs";
        import { handler } from "hookonce";
        export default handler(({ event }) => {
          readFileSync(event.payload.file);
        });`,
    });
    const file = join(folder.path, "data/hookonce.db-shm");
    const reads = { event_id: "evt_reads", type: "reads", file };
    for (let start = 1; start <= 2; start++) {
      await using server = await serve(folder.path);
      if (start === 1) expect((await server.post("/webhook", paid)).status).toBe(200);
      expect(await endsUnanswered(server, reads, "database_unlocked", UNLOCKED)).toContain(file);
    }
    await using server = await serve(folder.path);
    const skipped = await server.post("/webhook", { ...paid, ...reads });
    expect(skipped).toMatchObject({ status: 500, body: { status: "failed" } });
    expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
    expect((await server.post("/webhook", { ...paid, event_id: "evt_3" })).body["status"]).toBe("processed");
  }, 30_000);

  test("if code reads the index later, when no handler runs", async () => {
    using folder = scratch({
      ...inboxFiles,
      "handlers/default/reads.ts": `import { readFile, writeFileSync } from "node:fs";
        import { handler } from "hookonce";
        export default handler(({ event }) => {
          setTimeout(() => readFile(event.payload.file, () => writeFileSync(event.payload.read, "")), 1);
        });`,
    });
    const file = join(folder.path, "data/hookonce.db-shm");
    const read = join(folder.path, "read");
    await using server = await serve(folder.path);
    expect((await server.post("/webhook", { ...paid, type: "reads", file, read })).status).toBe(200);
    while (!existsSync(read)) await Bun.sleep(5);
    expect(await endsUnanswered(server, { event_id: "evt_2" }, "database_unlocked", UNLOCKED)).toContain(
      file,
    );
  }, 30_000);

  // SQLite notices the dropped locks from version 3.51 on, so this needs the sqlite3 program of the system.
  const name =
    "if a handler reads the database file, which drops SQLite's locks, and sqlite3 deletes the log";
  testUnless(
    needsCommand("sqlite3"),
    name,
    async () => {
      using folder = scratch({
        ...inboxFiles,
        "handlers/default/_any.ts": `import { readFileSync } from "node:fs";
        import { handler } from "hookonce";
        export default handler(({ event }) => {
          readFileSync(event.payload.file);
        });`,
      });
      rmSync(join(folder.path, "handlers/default/_any.sql"));
      const file = join(folder.path, "data/hookonce.db");
      {
        await using server = await serve(folder.path);
        expect((await server.post("/webhook", { ...paid, file })).status).toBe(200);
        expect(Bun.spawnSync(["sqlite3", file, "select count(*) from hookonce_events"]).exitCode).toBe(0);
        if (existsSync(`${file}-wal`)) return; // a newer sqlite3
        expect(await endsUnanswered(server, { event_id: "evt_2", file })).toContain(`${file}-wal is gone`);
      }
      await using server = await serve(folder.path);
      expect((await server.post("/webhook", { ...paid, file })).body["status"]).toBe("duplicate");
      expect((await server.post("/webhook", { ...paid, event_id: "evt_2", file })).body["status"]).toBe(
        "processed",
      );
    },
    30_000,
  );
});
