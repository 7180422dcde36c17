import { describe, expect } from "bun:test";
import { linkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeInboxFolder, readEffects } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { compiledServe, serve, startServer, type Server } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";

describe("two serves on one database", () => {
  testUnless(
    onlyInFullRun(),
    "the second waits 10 s, exits 1 and names the first; the first continues",
    async () => {
      await using inbox = await makeInboxFolder();
      await using first = await serve(inbox);
      const url = await first.listening;
      const started = performance.now();
      await using second = await serve(inbox);
      expect(await second.exited).toBe(1);
      const waited = performance.now() - started;
      expect(waited).toBeGreaterThan(9000);
      expect(waited).toBeLessThan(13_000);
      expect(second.output()).toContain(String(first.pid));
      expect(await deliver(url, makeEvent("two", 0))).toMatchObject({ httpStatus: 200, status: "processed" });
    },
    30_000,
  );

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    testUnless(
      onlyInFullRun(),
      `the second takes over if the first ends by ${signal} meanwhile`,
      async () => {
        await using inbox = await makeInboxFolder();
        await using first = await serve(inbox);
        const event = makeEvent("two", 0);
        expect(await deliver(await first.listening, event)).toMatchObject({ status: "processed" });
        await using second = await serve(inbox);
        await Bun.sleep(1000);
        first.signal(signal);
        expect(await first.exited).toBe(signal === "SIGTERM" ? 0 : -1);
        const url = await second.listening;
        expect(await deliver(url, event)).toMatchObject({ httpStatus: 200, status: "duplicate" });
        expect(readEffects(inbox.database).applied).toEqual(new Map([[event.id, 1]]));
      },
      30_000,
    );
  }

  for (const [name, link] of Object.entries({
    "a symbolic link whose target does not exist yet": (target: string, path: string) =>
      symlinkSync(target, path),
    "a hard link": (target: string, path: string) => {
      writeFileSync(target, "");
      linkSync(target, path);
    },
  })) {
    testUnless(
      onlyInFullRun(),
      `the second is refused through ${name}, in both orders`,
      async () => {
        for (const linkFirst of [true, false]) {
          await using inbox = await makeInboxFolder();
          const other = join(inbox.root, "other.db");
          link(inbox.database, other);
          const [one, two] = linkFirst ? [other, inbox.database] : [inbox.database, other];
          const start = (database: string): Server =>
            startServer([...compiledServe(inbox), "--database", database]);
          await using first = start(one);
          const url = await first.listening;
          await using second = start(two);
          expect(await second.exited).toBe(1);
          expect(second.output()).toContain("[database_in_use]");
          expect(await deliver(url, makeEvent("two", 0))).toMatchObject({ httpStatus: 200 });
        }
      },
      60_000,
    );
  }
});
