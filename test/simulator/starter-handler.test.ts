import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import { exampleFor, type Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { payloadOf, starterHandler } from "../../src/simulator/starter-handler.ts";

const fileOf = (name: string, type: string): string =>
  starterHandler(providers.get(name)!, examples.get(name) as Example, name, type).file;

describe("a starter handler", () => {
  test.each([...providers.keys()])("finds a value at each of its paths: %s", (name) => {
    const provider = providers.get(name)!;
    const example = examples.get(name) as Example;
    using db = new Database(":memory:", { strict: true });
    for (const word of [...example.types, ...Object.keys(example.untyped ?? {})]) {
      const { text } = starterHandler(provider, example, name, word);
      const made = exampleFor(example, word);
      const payload = JSON.stringify(payloadOf(provider, made.example, made.type));
      const row = db.prepare(text).get({ payload }) as Record<string, unknown>;
      expect(Object.keys(row).length).toBeGreaterThan(0);
      for (const [column, value] of Object.entries(row))
        expect({ column, value }).not.toEqual({ column, value: null });
    }
  });

  test("of an inbound SMS reads its text", () => {
    const { text } = starterHandler(providers.get("twilio")!, examples.get("twilio")!, "twilio", "received");
    expect(text).toContain(":payload ->> '$.Body'");
    expect(text).not.toContain("MessageStatus");
  });

  test("has the file name that hookonce looks for", () => {
    expect(fileOf("shopify", "orders/paid")).toBe("handlers/shopify/orders/paid.sql");
    expect(fileOf("gitlab", "Push Hook")).toBe("handlers/gitlab/Push_Hook.sql");
    expect(fileOf("mollie-classic", "")).toBe("handlers/mollie-classic/_any.sql");
    expect(fileOf("mailgun", "inbound")).toBe("handlers/mailgun/_any.sql");
    expect(fileOf("mailgun", "constructor")).toBe("handlers/mailgun/constructor.sql");
  });
});
