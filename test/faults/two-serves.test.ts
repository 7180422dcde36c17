import { describe, expect } from "bun:test";
import { makeInboxFolder, readEffects } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve } from "../crash/server.ts";
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
});
