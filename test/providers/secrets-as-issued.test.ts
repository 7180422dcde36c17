import { expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { createSource } from "../../src/providers/source.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"type":"user.created"}';

/** Every preset with keys of Standard Webhooks. OpenAI's and Polar's keys may also be plain text. */
const names = [...providers.values()]
  .filter(({ scheme }) => scheme.kind === "hmac" && scheme.key.startsWith("whsec"))
  .map(({ name }) => name);

test("there are such presets", () => {
  expect(names).toContain("standard-webhooks");
  expect(names).toContain("svix");
});

test.each(names)("%s: a secret is accepted as its provider shows it", async (name) => {
  const provider = providers.get(name) as Provider;
  const start =
    provider.scheme.kind === "hmac" && provider.scheme.idHeader === "svix-id" ? "svix" : "webhook";
  for (const secret of [SECRET, SECRET.slice("whsec_".length), `v1,${SECRET}`]) {
    const isText = provider.scheme.kind === "hmac" && provider.scheme.key !== "whsec";
    if (isText && !secret.includes("whsec_")) continue;
    const source = createSource({ name: "it", provider, secrets: [secret] }, () => NOW);
    const time = new Date(NOW);
    const headers = {
      [`${start}-id`]: "msg_1",
      [`${start}-timestamp`]: String(NOW / 1000),
      [`${start}-signature`]: new Webhook(SECRET).sign("msg_1", time, BODY),
    };
    const delivery = {
      method: "POST",
      url: "http://localhost/webhook/it",
      headers,
      body: Buffer.from(BODY),
      receivedAt: NOW,
      remoteAddress: () => null,
    };
    expect(await source.verify(delivery)).toBeUndefined();
    const forged = { ...delivery, body: Buffer.from(`${BODY} `) };
    expect(() => source.verify(forged)).toThrow("does not match");
  }
});
