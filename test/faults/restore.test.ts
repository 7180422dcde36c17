import { describe, expect } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeInboxFolder, readEffects, type InboxFolder } from "../crash/inbox-folder.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve } from "../crash/server.ts";
import { readme } from "../support/readme.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";

const reason = onlyInFullRun() ?? needsCommand("sqlite3") ?? needsCommand("install");

/** Runs the command of the README in the inbox folder, and returns the new copy. */
function backUp({ folder, data }: InboxFolder): string {
  const copies = (): string[] => readdirSync(data).filter((name) => name.startsWith("backup-"));
  const before = new Set(copies());
  const command = /^- \*\*Backup\.\*\* `([^`]+)`/m.exec(readme)?.[1] ?? "the README has no backup command";
  expect(Bun.spawnSync(["sh", "-c", command], { cwd: folder }).exitCode).toBe(0);
  const name = copies().find((one) => !before.has(one)) ?? "none";
  const file = join(data, name);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  return file;
}

/** As the README says, without the user of a service. */
function putInPlace({ database }: InboxFolder, file: string): void {
  expect(Bun.spawnSync(["install", "-m", "600", file, database]).exitCode).toBe(0);
}

describe("a backup", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    testUnless(
      reason,
      `that is restored after a ${signal} has the events up to the backup, and takes the later ones again`,
      async () => {
        await using inbox = await makeInboxFolder();
        let file = "";
        const events = Array.from({ length: 60 }, (_, n) => makeEvent("restore", n));
        {
          await using server = await serve(inbox);
          const url = await server.listening;
          for (const event of events.slice(0, 10)) await deliver(url, event);
          backUp(inbox);
          // The name has the second, so another copy can be made in the next one.
          await Bun.sleep(1000);
          file = backUp(inbox);
          for (const event of events.slice(10)) await deliver(url, event);
          server.signal(signal);
          await server.exited;
        }
        putInPlace(inbox, file);
        await using server = await serve(inbox);
        const url = await server.listening;
        expect(readEffects(inbox.database)).toMatchObject({ listed: 10, integrity: "ok" });
        const statuses = [];
        for (const event of events) statuses.push((await deliver(url, event)).status);
        expect(statuses).toEqual(events.map((_, n) => (n < 10 ? "duplicate" : "processed")));
        expect(readEffects(inbox.database)).toMatchObject({ listed: 60, integrity: "ok" });
        expect(statSync(inbox.database).mode & 0o777).toBe(0o600);
        const aside = readdirSync(inbox.data).filter((name) => name.includes("-wal.left-"));
        expect(aside).toHaveLength(signal === "SIGKILL" ? 1 : 0);
      },
      60_000,
    );
  }
});
