import { describe, expect } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeInboxFolder, readEffects, type InboxFolder } from "../crash/inbox-folder.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { binary, serve } from "../crash/server.ts";
import { readme } from "../support/readme.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";

const reason = onlyInFullRun() ?? needsCommand("tar");

/** Makes a backup with the binary that serves, and returns its file. */
function backUp({ folder, root }: InboxFolder, name: string): string {
  const file = join(root, name);
  const made = Bun.spawnSync([binary, "backup", file, "--folder", folder]);
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
  return file;
}

/** As the README says for the database alone. */
function putInPlace({ folder }: InboxFolder, file: string): void {
  const [, command = ""] = /`(tar xf FILE [^`]+)`/.exec(readme) ?? [];
  const ran = command.replace("FILE", file).replace("/srv/inbox", folder);
  expect(Bun.spawnSync(ran.split(" ")).exitCode).toBe(0);
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
          file = backUp(inbox, "a.tar");
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
