import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { nearPath } from "../../src/http/paths.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { leastProcessorTime } from "../support/processor-time.ts";

const unsigned = (name: string): string =>
  `[sources.${name}]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\n`;

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    config: `${unsigned("default")}${unsigned("shop-eu")}[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`,
    environment: { S: "whsec_1" },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

const post = (path: string) =>
  inbox.request(path, { method: "POST", body: '{"event_id":"evt_1","type":"t"}' });

describe("a slash at the end of a source's path", () => {
  test("changes nothing", async () => {
    expect((await post("/webhook/shop-eu")).status).toBe(200);
    const repeated = await post("/webhook/shop-eu/");
    expect([repeated.status, await repeated.json()]).toEqual([
      200,
      { status: "unhandled", event_id: "evt_1", message: "Webhook received" },
    ]);
    expect((await post("/webhook/")).status).toBe(200);
    expect((await post("/webhook/stripe/")).status).toBe(401);
    expect(inbox.rows("select source, deliveries from hookonce_events order by source")).toEqual([
      { source: "default", deliveries: 1 },
      { source: "shop-eu", deliveries: 2 },
    ]);
  });

  test("changes nothing of a method that is not allowed", async () => {
    const response = await inbox.request("/webhook/stripe/", { method: "PUT" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
    expect(inbox.log.at(-1)).toMatchObject({ outcome: "rejected", code: "method_not_allowed" });
  });
});

describe("a path that is near a source's", () => {
  test.each([
    ["/webhook/Stripe", "/webhook/stripe"],
    ["/webhook/strpe", "/webhook/stripe"],
    ["/webhooks/stripe", "/webhook/stripe"],
    ["/stripe", "/webhook/stripe"],
    ["/api/webhooks/stripe/events", "/webhook/stripe"],
    ["//webhook//stripe//", "/webhook/stripe"],
    ["/webhook/shop_eu", "/webhook/shop-eu"],
    ["/webhok", "/webhook"],
  ])("%s is answered 404, and only the log names it", async (path, near) => {
    const before = inbox.log.length;
    const response = await post(path);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain(near === "/webhook" ? "mean" : near);
    const [line, ...others] = inbox.log.slice(before);
    expect(others).toEqual([]);
    expect(line).toMatchObject({ outcome: "rejected", source: path });
    expect(line?.["cause"]).toEndWith(` Did the sender mean ${near}?`);
  });

  test.each(["/", "/robots.txt", "/webhook/paypal", `/stripe/${"x".repeat(100)}`, "/wp-login.php"])(
    "%s is near none",
    async (path) => {
      const before = inbox.log.length;
      expect((await post(path)).status).toBe(404);
      expect(String(inbox.log[before]?.["cause"])).not.toContain("mean");
    },
  );

  test("is looked for in linear time", async () => {
    const paths = Array.from({ length: 100 }, (_, n) => `/webhook/source-${n}`);
    const path = `/${"/webhook".repeat(12)}`.slice(0, 100);
    expect(await leastProcessorTime(() => nearPath(path, paths), 100, 1)).toBeLessThan(5);
  });
});

test.each(["&key=", ";key=", "%3Fkey=", "%26", "/", "/x/", ":", "%2F"])(
  "what follows the name of a source whose sender sends its secret is not logged: %s",
  async (between) => {
    await using inbox = await testInbox({
      config: '[sources.a]\nprovider = "figma"\nsecret = "env:S"\n',
      environment: { S: "the-secret-of-now" },
    });
    for (const secret of ["the-secret-of-now", "a-secret-of-before"])
      await inbox.request(`/webhook/A${between}${secret}`, { method: "POST", body: "{}" });
    const lines = inbox.log.filter(({ outcome }) => outcome === "rejected");
    expect(lines).toHaveLength(2);
    for (const { source } of lines) expect(source).toMatch(/^\/webhook\/A\/?\[redacted\]$/);
    expect(JSON.stringify(inbox.log)).not.toContain("secret-of");
  },
);
