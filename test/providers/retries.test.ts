import { describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox } from "../support/test-inbox.ts";
import { samples, signerFor } from "./preset-samples.ts";
import { effectsTable, NOW } from "./signed-inbox.ts";

const timed = [...providers.values()].filter(({ scheme }) => kindOf(scheme).tolerance(scheme) !== undefined);

test("many presets check the time", () => {
  expect(timed.length).toBeGreaterThan(20);
});

/** A provider that signs only once sends its last retry with a time as old as all its retries take. */
describe.each(timed.map((provider) => [provider.name, provider] as const))("%s", (name, provider) => {
  const { retryWindowMs, signsRetries } = provider;

  test.each([0, retryWindowMs])(
    "a delivery that was refused is accepted as a retry %d ms later",
    async (laterMs) => {
      const signer = signerFor(name, certificateFor);
      let now = NOW;
      await using inbox = await testInbox({
        config: signer.config,
        environment: { S: signer.keys.secret },
        clock: () => now,
        fetch: signer.fetch,
        files: {
          ...effectsTable,
          "handlers/it/_any.sql": "insert into effects values (:source, :event_id, json('{'));",
        },
      });
      const send = async (signedAt: number): Promise<number> => {
        const request = await signer.request(1, 1, signedAt);
        const response = await inbox.request(`/webhook/it${new URL(request.url).search}`, {
          method: "POST",
          headers: request.headers,
          body: Buffer.from(request.body),
        });
        await response.text();
        return response.status;
      };
      expect(await send(NOW)).toBe(500);
      await inbox.restart({
        files: { "handlers/it/_any.sql": "insert into effects values (:source, :event_id, :type);" },
      });
      now = NOW + laterMs;
      expect(await send(signsRetries === true ? now : NOW)).toBeOneOf([200, 204]);
      const events = samples[name]?.events ?? 1;
      expect(inbox.value("select count(*) from effects")).toBe(events);
      // A captured copy of it, as late as it may be, is a duplicate.
      expect(await send(signsRetries === true ? now : NOW)).toBeOneOf([200, 204]);
      expect(inbox.value("select count(*) from effects")).toBe(
        samples[name]?.neverTheSame === true ? 2 : events,
      );
    },
  );
});
