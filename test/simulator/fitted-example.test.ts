import { expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { seedOf, type Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { fitExample, type OwnRules } from "../../src/simulator/fitted-example.ts";
import { requestOf } from "../../src/simulator/request.ts";

const ID = "0123456789abcdef01234567";
const OTHER = "89abcdef0123456701234567";

/** What a source with these rules reads from the fitted example. */
function readBy(rules: OwnRules, type: string, id = ID, name = "hmac"): { id: string; type: string }[] {
  const provider = providers.get(name) as Provider;
  const source = createSource(
    { name: "shop", provider, secrets: ["a secret of the shop"], ...rules },
    () => 0,
  );
  const example = fitExample(examples.get(name) as Example, rules);
  const request = requestOf(example, [seedOf(id, type, 0)], "http://localhost");
  if (source.split === undefined) return [source.identify(request)];
  return source.split(request).map((event) => {
    if ("id" in event) return event;
    throw event;
  });
}

test.each([
  ["headers", { eventId: "header:x-shop-id", type: "header:x-shop-event" }],
  ["nested paths", { eventId: "body:$.meta.id", type: "body:$.meta['event type']" }],
  ["paths into an array", { eventId: "body:$.ids[1]", type: "body:$.what[0].kind" }],
  [
    "a path that has a fixed value in the example",
    { eventId: "body:$.data.order", type: "body:$.data.currency" },
  ],
  ["a list", { eventId: ["sha256:body", "header:x-id"], type: ["body:$.kind", "header:x-kind"] }],
  [
    "parts of the type",
    { eventId: "body:$.uid", type: { join: ["header:x-what", "body:$.action"], with: "." } },
  ],
  ["parts of the id", { eventId: { join: ["header:x-hook", "body:$.seq"], with: ":" }, type: "body:$.type" }],
  ["a batch", { eventId: "body:$.uid", type: "body:$.kind", batch: ["body:$.events[*]"] }],
  [
    "a batch whose events are one level deeper",
    { eventId: "body:$.uid", type: "body:$.kind", batch: ["body:$[*].event"] },
  ],
] satisfies [string, OwnRules][])("ids and types are where the config reads them: %s", (_, rules) => {
  const [event, ...others] = readBy(rules, "order.refunded");
  expect(others).toBeEmpty();
  expect(event?.type).toBe("order.refunded");
  expect(readBy(rules, "order.refunded")[0]?.id).toBe(event?.id as string);
  expect(readBy(rules, "order.refunded", OTHER)[0]?.id).not.toBe(event?.id as string);
});

test("a provider's own id and type stay if the config reads them there", () => {
  const rules = { eventId: "body:$.id", type: "body:$.event_type" };
  const [event] = readBy(rules, "CHECKOUT.ORDER.APPROVED", ID, "paypal");
  expect(event?.type).toBe("CHECKOUT.ORDER.APPROVED");
  expect(event?.id).toStartWith("WH-");
});
