import { expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import { AT, post, recordingInbox } from "./signed-inbox.ts";

test("a preset with a public key is changed key by key, as one with a shared secret is", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  await using inbox = await recordingInbox({
    config: `[sources.it]
provider = "discord"
secret = "env:S"
tolerance = "60s"
[sources.it.signature]
header = "X-Proxy-Signature"
prefix = "ed="
separator = " "
encoding = "base64"
signed = "{id}.{timestamp}.{body}"
timestamp = "header:x-proxy-time"
timestamp_unit = "ms"
id = "header:x-proxy-id"
`,
    sources: ["it"],
    environment: { S: raw.toString("hex") },
  });
  const body = JSON.stringify({ id: "7", type: 2 });
  const signed = (ms: number, id = "a"): Record<string, string> => ({
    "x-proxy-id": id,
    "x-proxy-time": String(ms),
    "x-proxy-signature": `other=AAAA ed=${sign(null, Buffer.from(`a.${ms}.${body}`), privateKey).toString("base64")}`,
  });
  const now = AT * 1000;
  expect((await post(inbox, "it", body, signed(now, "b"))).said).toBe("signature_mismatch");
  expect((await post(inbox, "it", body, signed(now - 61_000))).said).toBe("timestamp_stale");
  const response = await inbox.request("/webhook/it", {
    method: "POST",
    body,
    headers: signed(now - 60_000),
  });
  expect(response.status).toBe(204);
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "7" }]);
});
