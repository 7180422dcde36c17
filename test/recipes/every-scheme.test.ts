import { describe, expect } from "bun:test";
import { scratch } from "../cli/support/hookonce.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { samples, signerFor } from "../providers/preset-samples.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox } from "../support/test-inbox.ts";
import { proxies, request } from "./readme-proxies.ts";

/** A proxy may change headers, the query and the body. None of that may break a signature. */

const names = Object.keys(samples);
const variable = (name: string): string => name.toUpperCase().replaceAll("-", "_");

for (const { name: proxyName, start } of proxies) {
  describe(`behind the README's ${proxyName}`, () => {
    testUnless(
      onlyInFullRun() ?? needsCommand(proxyName),
      "one request of every preset is accepted, and its repeat is the same event",
      async () => {
        const signers = new Map(names.map((name) => [name, signerFor(name, certificateFor)]));
        const config = Array.from(signers, ([name, signer]) =>
          signer.config
            .replace("[sources.it]", `[sources.${name}]`)
            .replace('"env:S"', `"env:${variable(name)}"`),
        );
        await using inbox = await testInbox({
          config: config.join("\n"),
          environment: Object.fromEntries(
            Array.from(signers, ([name, { keys }]) => [variable(name), keys.secret]),
          ),
          fetch: (url, init) => {
            const host = new URL(url).hostname;
            const owner = {
              "issuer.test": "jwt",
              "production.plaid.com": "plaid",
              "api.paypal.com": "paypal",
            }[host];
            return signers.get(owner ?? "aws-sns")?.fetch(url, init) ?? Promise.reject(new Error(url));
          },
        });
        using folder = scratch({});
        await using proxy = await start(folder, Number(new URL(inbox.listen().url).port));
        const refused: unknown[] = [];
        for (const [name, signer] of signers) {
          const events = (): unknown =>
            inbox.value("select count(*) from hookonce_events where source = ?", name);
          for (const attempt of [1, 1]) {
            const signed = await signer.request(1, attempt, Date.now());
            const { search } = new URL(signed.url);
            const response = await request(proxy, `/webhook/${name}${search}`, {
              method: signed.method,
              headers: signed.headers,
              body: Buffer.from(signed.body),
            });
            if (!response.ok) refused.push([name, response.status, await response.text()]);
            else await response.text();
          }
          const { events: expected = 1, neverTheSame = false } = samples[name] ?? {};
          expect({ name, events: events() }).toEqual({ name, events: neverTheSame ? 2 : expected });
        }
        expect(refused).toEqual([]);
      },
      60_000,
    );
  });
}
