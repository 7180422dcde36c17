import { expect, test } from "bun:test";
import { nearest } from "../../src/config/nearest.ts";
import { providers } from "../../src/providers/presets.ts";

test.each([
  ["whatsapp", "meta"],
  ["facebook", "meta"],
  ["instagram", "meta"],
  ["forgejo", "gitea"],
  ["sns", "aws-sns"],
  ["SNS", "aws-sns"],
  ["cloudflare", "cloudflare-stream or cloudflare-notifications"],
  ["flutterwave", "flutterwave-v3 or flutterwave-v4"],
  ["coinbase", "coinbase-commerce"],
  ["whatsap", "meta"],
  ["Stripe", "stripe"],
  ["strpe", "stripe"],
  ["lemonsqueezy", "lemon-squeezy"],
])("%s is answered with: did you mean %s?", (written, meant) => {
  expect(nearest(written, providers, "others")).toBe(`did you mean ${meant}?`);
});

test.each(["", "zzz", "mailchimp", "acme corporation", "constructor", "__proto__"])(
  "%p has no suggestion",
  (name) => {
    expect(nearest(name, providers, "others")).toBe("others");
  },
);

test("no alias is the name or an alias of another provider", () => {
  const aliases = [...providers.values()].flatMap((provider) => provider.aliases ?? []);
  expect(aliases.filter((alias) => providers.has(alias))).toEqual([]);
  expect(new Set(aliases).size).toBe(aliases.length);
});
