import { describe, expect } from "bun:test";
import { scratch, serve } from "../cli/support/hookonce.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { binary, ensureBinary } from "../crash/server.ts";
import { stripeSignature } from "../support/stripe.ts";
import type { Proxy } from "./proxies.ts";
import { proxies, request } from "./readme-proxies.ts";

const SECRET = "whsec_recipes";

const inbox = {
  "hookonce.toml": `version = 1

[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"

[sources.github]
provider = "github"
secret   = "env:GITHUB_WEBHOOK_SECRET"
`,
  ".env": `STRIPE_WEBHOOK_SECRET=${SECRET}\nGITHUB_WEBHOOK_SECRET=${SECRET}\n`,
  "handlers/stripe/_any.sql": "select 1;",
  "handlers/github/_any.sql": "select 1;",
};

async function deliver(proxy: Proxy, path: string, id: string, secret = SECRET): Promise<unknown> {
  const body = JSON.stringify({ id, type: "invoice.paid" });
  const headers = { "stripe-signature": stripeSignature(secret, body) };
  const response = await request(proxy, path, { method: "POST", body, headers });
  const answer = (await response.json()) as { status?: string; error?: { code: string } };
  return [response.status, answer.status ?? answer.error?.code];
}

async function deliverToGithub(proxy: Proxy, bytes: number): Promise<number> {
  const body = JSON.stringify({ text: "x".repeat(bytes) });
  const signature = new Bun.CryptoHasher("sha256", SECRET).update(body).digest("hex");
  const headers = {
    "x-hub-signature-256": `sha256=${signature}`,
    "x-github-event": "push",
    "x-github-delivery": "1",
  };
  return (await request(proxy, "/webhook/github", { method: "POST", body, headers })).status;
}

for (const { name, start } of proxies) {
  describe(`the README's recipe for ${name}`, () => {
    testUnless(
      onlyInFullRun() ?? needsCommand(name),
      "passes on deliveries and their repeats, and answers no other path with 200",
      async () => {
        await ensureBinary();
        using folder = scratch(inbox);
        await using server = await serve(folder.path, { program: [binary], dev: false });
        await using proxy = await start(folder, Number(new URL(server.url).port));

        expect([
          await deliver(proxy, "/webhook/stripe", "evt_1"),
          await deliver(proxy, "/webhook/stripe", "evt_1"),
          await deliver(proxy, "/webhook/stripe", "evt_2", "whsec_wrong"),
        ]).toEqual([
          [200, "processed"],
          [200, "duplicate"],
          [401, "signature_mismatch"],
        ]);
        // The path of an old endpoint is the same source.
        expect([
          await deliver(proxy, "/stripe/webhook", "evt_1"),
          await deliver(proxy, "/stripe/webhook", "evt_3"),
        ]).toEqual([
          [200, "duplicate"],
          [200, "processed"],
        ]);
        // nginx's own limit of 1 MB is raised to GitHub's 25 MB.
        expect(await deliverToGithub(proxy, 20_000_000)).toBe(200);

        for (const method of ["GET", "POST"]) {
          for (const path of [
            "/",
            "/healthz",
            "/readyz",
            "/webhook",
            "/webhook/strip",
            "/webhooks",
            "/other",
          ]) {
            const { status } = await request(proxy, path, { method });
            expect({ method, path, status }).toEqual({ method, path, status: 404 });
          }
        }
        expect((await request(proxy, "/webhook/stripe")).status).toBe(405);
      },
      60_000,
    );
  });
}
