import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { unknownType } from "../../src/app/unknown-types.ts";
import { check } from "../../src/app/check.ts";
import { eventTypes } from "../../src/providers/event-types.ts";
import { providers } from "../../src/providers/presets.ts";
import { examples } from "../../src/simulator/examples.ts";
import { readme } from "../support/readme.ts";
import { scratch } from "../cli/support/hookonce.ts";
import { testInFullRun } from "../crash/requirements.ts";

const modules = join(import.meta.dir, "../../node_modules");

/** The text of a package's type declarations and data. */
function textOf(name: string): string {
  const folder = join(modules, name);
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((file) => /\.(?:d\.m?ts|json)$/.test(file) && !file.startsWith("node_modules/"))
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n");
}

const libraries = [...eventTypes].filter(([, { from }]) => !from.startsWith("https:"));

describe("the event types that hookonce knows", () => {
  test("are those of at least twenty providers", () => {
    expect(eventTypes.size).toBeGreaterThanOrEqual(20);
    for (const name of eventTypes.keys()) expect(providers.has(name)).toBe(true);
    expect(readme).toContain(`For ${eventTypes.size} of them it lists the event types`);
  });

  // The declarations of these libraries are some MB of text.
  for (const [name, { from, types }] of libraries)
    testInFullRun(`are all in the library of the provider: ${name}`, () => {
      const [library = "", version] = from.split(" ");
      const text = textOf(library);
      expect(JSON.parse(readFileSync(join(modules, library, "package.json"), "utf8")).version).toBe(version);
      // GitHub's and Linear's types are joined from two values.
      const parts = types.flatMap((type) => (["github", "linear"].includes(name) ? type.split(".") : [type]));
      expect(parts.filter((part) => !text.includes(part))).toEqual([]);
      expect(new Set(types).size).toBe(types.length);
    });

  test("Stripe's are all of those that an endpoint can be enabled for", () => {
    const declared = readFileSync(join(modules, "stripe/esm/resources/WebhookEndpoints.d.ts"), "utf8");
    const [, union = ""] = /type EnabledEvent = ([^;]+);/.exec(declared) ?? [];
    const all = Array.from(union.matchAll(/'([^']+)'/g), ([, type]) => type as string);
    expect(all.filter((type) => type !== "*").sort()).toEqual([...(eventTypes.get("stripe")?.types ?? [])]);
    expect(packageJson.devDependencies.stripe).toBe(eventTypes.get("stripe")?.from.split(" ")[1] as string);
  });

  test.each([...eventTypes.keys()])("contain those of the examples: %s", async (name) => {
    for (const type of examples.get(name)?.types ?? [])
      expect([type, await unknownType(providers.get(name)!, type)]).toEqual([type, undefined]);
  });
});

describe("an unknown event type", () => {
  for (const [name, type, says] of [
    ["stripe", "checkout.sesion.completed", "did you mean checkout.session.completed?"],
    ["stripe", "Invoice.Paid", "did you mean invoice.paid?"],
    ["stripe", "order.shipped.to.the.moon", "hookonce providers stripe"],
    ["paypal", "PAYMENT.CAPTURE.COMPLETE", "did you mean PAYMENT.CAPTURE.COMPLETED?"],
    ["github", "isues.opened", "did you mean issues.opened?"],
    ["gitlab", "Push hook", "did you mean Push Hook?"],
    ["shopify", "order/paid", "did you mean orders/paid?"],
    ["twitch", "notification.stream.onlin", "did you mean notification.stream.online?"],
    ["grafana", "fireing", "did you mean firing?"],
    ["uptime-kuma", "down", "hookonce providers uptime-kuma"],
    ["supabase", "custom-access-token", "did you mean customize-access-token?"],
    ["gumroad", "sales", "did you mean sale?"],
    // Known, or not surely wrong.
    ["twitch", "revocation.stream.online", undefined],
    ["ghost", "post", undefined],
    ["trello", "someNewAction", undefined],
    ["stripe", "invoice", undefined],
    ["stripe", "v2.core.account.created", undefined],
    ["github", "issues.some_new_action", undefined],
    ["slack", "/weather", undefined],
    ["unsigned", "anything", undefined],
  ] as const) {
    test(`${type} of ${name}: ${says ?? "no warning"}`, async () => {
      const told = await unknownType(providers.get(name)!, type);
      if (says === undefined) expect(told).toBeUndefined();
      else expect(told).toEndWith(says);
    });
  }

  test("in the name of a handler is a warning of check, unless the config reads the type from another place", async () => {
    const stripe = `[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`;
    using inbox = scratch({
      "hookonce.toml": `version = 1\n${stripe}`,
      "handlers/stripe/checkout.session.complete.sql": "select 1;",
      "handlers/stripe/customer.subscription.sql": "select 1;",
      "handlers/stripe/_any.sql": "select 1;",
    });
    const warnings = async () => {
      const found = await check(inbox.path, { environment: { S: "whsec_x" }, clock: Date.now });
      expect(found.problems).toEqual([]);
      return found.warnings;
    };
    expect(await warnings()).toEqual([
      {
        file: "handlers/stripe/checkout.session.complete.sql",
        message:
          'hookonce knows no event type "checkout.session.complete" of Stripe; did you mean checkout.session.completed?',
      },
    ]);
    inbox.write({ "hookonce.toml": `version = 1\n${stripe}type = "body:$.kind"\n` });
    expect(await warnings()).toEqual([]);
  });
});
