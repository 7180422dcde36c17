import { describe, expect, test } from "bun:test";
import { diagnoseInFolder } from "../../src/app/diagnose-in-folder.ts";
import { deliveryOf } from "../../src/http/refused.ts";
import { providers } from "../../src/providers/presets.ts";
import { coversUrl } from "../../src/providers/verifier.ts";
import { testInbox } from "../support/test-inbox.ts";
import { examineIt, NOW, signed, source, withHeaders } from "./patient.ts";

const noFetch = () => Promise.reject(new Error("nothing is fetched here"));
const PUBLIC = "https://hooks.example.com/in";
/** The doctor also tries the rules of the other sources. Twilio signs the URL, and Mailgun signs no header. */
const beside = ["stripe", "mailgun", "twilio"].map((name) =>
  source(name, `the secret of ${name}`, { publicUrl: PUBLIC }),
);

describe("a delivery is diagnosed without a whole URL, whatever its headers say about the host", () => {
  const kept: [url: string, headers: Record<string, string | undefined>][] = [
    ["/webhook/x", { host: "localhost:8787" }],
    ["http://a b/webhook/x?bodySHA256=1", { host: "no host at all" }],
    ["", { host: "[::::]:99999", "x-forwarded-host": "1.2.3.999", "x-forwarded-port": "99999" }],
  ];
  const names = [...providers.values()]
    .filter(({ scheme }) => coversUrl(scheme))
    .map(({ name }) => name)
    .concat("stripe");
  test.each(names)("%s", async (name) => {
    const made = await signed(name, "quite another secret", { url: PUBLIC });
    const settings = source(name, "the right secret", { publicUrl: PUBLIC });
    for (const [url, headers] of kept) {
      const delivery = withHeaders({ ...made, url }, headers);
      const diagnosis = await examineIt(delivery, settings, { sources: [settings, ...beside] });
      expect(diagnosis).toMatchObject({ verified: false, refusal: { code: "signature_mismatch" } });
    }
  });
});

test("a refused delivery of Twilio, beside a source that signs no URL, is diagnosed with and without a body", async () => {
  const environment = { S: "mailgun-secret-1", T: "the-right-auth-token" };
  await using inbox = await testInbox({
    config: `[sources.mailgun]\nprovider = "mailgun"\nsecret = "env:S"\n[sources.twilio]\nprovider = "twilio"\nsecret = "env:T"\npublic_url = "${PUBLIC}"\n`,
    environment,
    clock: () => NOW,
  });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const requests = [
    await signed("twilio", "wrong", { url: PUBLIC, headers: form, text: "MessageSid=SM1&Body=hi" }),
    await signed("twilio", "wrong", { url: PUBLIC }),
    { ...(await signed("twilio", "wrong", { url: PUBLIC })), method: "GET", body: new Uint8Array() },
  ];
  for (const { method, headers, body } of requests) {
    const init = { method, headers, ...(method === "GET" ? {} : { body: Buffer.from(body) }) };
    expect((await inbox.request("/webhook/twilio", init)).status).toBe(401);
    const [refused] = inbox.refused.list("twilio", 1);
    const { findings } = await diagnoseInFolder(deliveryOf(refused!)!, {
      folder: inbox.folder,
      source: "twilio",
      environment,
      nowMs: NOW,
      fetch: noFetch,
    });
    expect(findings.map(({ cause }) => cause)).toContain("unknown");
  }
});
