import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { stripeSignature } from "../support/stripe.ts";
import { testInbox } from "../support/test-inbox.ts";
import { testInFullRun } from "../crash/requirements.ts";

const NOW = 1_795_780_800_000;

const CONFIG = `
[sources.stripe]
provider = "stripe"
secret = ["env:STRIPE_NEW", "env:STRIPE_OLD"]
`;

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(10);
  }
}

const stripe = (secret: string, id: string) => {
  const body = JSON.stringify({ id, type: "invoice.paid" });
  const seconds = Math.floor(NOW / 1000);
  return [body, { "stripe-signature": stripeSignature(secret, body, seconds) }] as const;
};

test("refusals and matched secrets are counted in memory, and written each minute and at the stop", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    environment: { STRIPE_NEW: "whsec_new", STRIPE_OLD: "whsec_old" },
    clock: () => NOW,
    upkeep: { minuteMs: 100 },
  });
  const deliver = async (secret: string, id: string): Promise<number> => {
    const [body, headers] = stripe(secret, id);
    return (await inbox.deliver(body, { source: "stripe", headers })).status;
  };
  expect(await deliver("whsec_old", "evt_1")).toBe(200);
  for (let n = 0; n < 3; n++) expect(await deliver("whsec_wrong", "evt_2")).toBe(401);
  const refused = () =>
    inbox.rows("select refused, processed, unhandled from hookonce_rollups where span = 'minute'")[0];
  await until(() => refused()?.refused === 3);
  expect(refused()).toEqual({ refused: 3, processed: 0, unhandled: 1 });
  await until(() => inbox.value("select count(*) from hookonce_secrets") === 1);
  expect(inbox.rows("select source, secret, at from hookonce_secrets")).toEqual([
    { source: "stripe", secret: "env:STRIPE_OLD", at: NOW },
  ]);
  const { sources } = (await (await inbox.api("/api/status")).json()) as {
    sources: { secrets: unknown }[];
  };
  expect(sources[0]?.secrets).toEqual([
    { name: "env:STRIPE_NEW", matched_at: null },
    { name: "env:STRIPE_OLD", matched_at: NOW },
  ]);
  expect(inbox.rows("select refused from hookonce_rollups where span = 'hour'")).toEqual([{ refused: 3 }]);

  await deliver("whsec_wrong", "evt_3");
  await inbox.close();
  expect(refused()?.refused).toBe(4);
  expect(inbox.rows("select refused from hookonce_rollups where span = 'day'")).toEqual([{ refused: 4 }]);
});

test("the counters of an idle inbox are not written, and its log does not grow", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    environment: { STRIPE_NEW: "whsec_new", STRIPE_OLD: "whsec_old" },
    clock: () => NOW,
    upkeep: { minuteMs: 10 },
  });
  const deliver = (id: string): ReturnType<typeof inbox.deliver> => {
    const [body, headers] = stripe("whsec_new", id);
    return inbox.deliver(body, { source: "stripe", headers });
  };
  const hour = (): unknown => inbox.rows("select unhandled from hookonce_rollups where span = 'hour'")[0];
  // Changes with each commit that writes something.
  using watch = new Database(inbox.databasePath, { readonly: true });
  const version = (): unknown => watch.query("pragma data_version").values()[0]?.[0];
  await deliver("evt_1");
  await until(() => inbox.value("select count(*) from hookonce_secrets") === 1);
  // Twenty turns of the job without a commit.
  const idle = async (): Promise<boolean> => {
    const before = version();
    await Bun.sleep(200);
    return version() === before;
  };
  const deadline = performance.now() + 20_000;
  while (!(await idle())) if (performance.now() > deadline) throw new Error("each turn writes");
  expect(hour()).toEqual({ unhandled: 1 });
  await deliver("evt_2");
  await until(() => Bun.deepEquals(hour(), { unhandled: 2 }));
}, 30_000);

testInFullRun(
  "a stop does not wait for a process that holds the write lock",
  async () => {
    await using inbox = await testInbox({
      config: CONFIG,
      environment: { STRIPE_NEW: "whsec_new", STRIPE_OLD: "whsec_old" },
      clock: () => NOW,
      upkeep: { minuteMs: 20 },
    });
    using other = new Database(inbox.databasePath);
    other.run("pragma busy_timeout = 5000");
    other.run("begin immediate");
    // A write of the counters begins and cannot continue.
    await Bun.sleep(100);
    await inbox.close();
    expect(inbox.log.map(({ msg }) => msg)).toContain("the counters of this minute could not be written");
    expect(inbox.fatal).toEqual([]);
    other.run("rollback");
  },
  20_000,
);

test("the status shows at once which secret a delivery has matched", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    environment: { STRIPE_NEW: "whsec_new", STRIPE_OLD: "whsec_old" },
    clock: () => NOW,
    upkeep: { minuteMs: 3_600_000 },
  });
  const [body, headers] = stripe("whsec_new", "evt_1");
  await inbox.deliver(body, { source: "stripe", headers });
  const { sources } = (await (await inbox.api("/api/status")).json()) as {
    sources: { secrets: unknown }[];
  };
  expect(sources[0]?.secrets).toEqual([
    { name: "env:STRIPE_NEW", matched_at: NOW },
    { name: "env:STRIPE_OLD", matched_at: null },
  ]);
  expect(inbox.value("select count(*) from hookonce_secrets")).toBe(0);
});
