import { describe, expect, test } from "bun:test";
import { diagnoseRefused } from "../../src/app/diagnose-in-folder.ts";
import { testInbox } from "../support/test-inbox.ts";
import { NOW } from "./patient.ts";

const config = `
[sources.strava]
provider = "strava"
secret = "env:S"
secret_in = "query:token"
verify_token = "env:T"
[sources.meta]
provider = "meta"
secret = "env:S"
verify_token = "env:T"
[sources.own]
provider = "hmac"
secret = "env:S"
event_id = "body:$.id"
type = "body:$.type"
signature = { header = "x-sig" }
handshake = { method = "GET", when = { "query:check" = "now", "header:x-real" = false }, echo = "query:challenge" }
`;
const environment = { S: "the-right-secret", T: "the-verify-token" };
const hub = "hub.challenge=c";

describe("a refused handshake is kept with what does not match, which only the doctor says", () => {
  const cases: [path: string, why: string[]][] = [
    [
      `/webhook/strava?token=the-right-secret&hub.mode=subscribe&${hub}&hub.verify_token=no-token-of-ours`,
      ["the verify token in query:hub.verify_token is not that of the source"],
    ],
    [`/webhook/strava?${hub}&hub.verify_token=the-verify-token`, ["query:hub.mode is missing"]],
    [
      `/webhook/meta?hub.mode=subscribe&${hub}&hub.verify_token=no-token-of-ours`,
      ["the verify token in query:hub.verify_token is not that of the source"],
    ],
    ["/webhook/meta", ["query:hub.mode is missing", "query:hub.verify_token is missing"]],
    [
      `/webhook/meta?hub.mode=no-mode-of-ours&hub.verify_token=the-verify-token`,
      ['hub.mode is not "subscribe"'],
    ],
    ["/webhook/own?check=no-word-of-ours", ['query:check is not "now"']],
  ];
  test.each(cases)("%s", async (path, why) => {
    await using inbox = await testInbox({ config, environment, clock: () => NOW });
    const source = /\/webhook\/(\w+)/.exec(path)?.[1] ?? "";
    // An older refusal, which is not the one that is asked about.
    await inbox.deliver("{}", { source });
    const response = await inbox.request(path);
    expect(response.status).toBe(403);
    const answer = await response.text();
    expect(answer).not.toMatch(/is missing|is not/);
    const [refused] = inbox.refused.list(source, 1);
    expect(refused).toMatchObject({ method: "GET", code: "handshake_refused" });
    const diagnosis = await diagnoseRefused(refused!, {
      folder: inbox.folder,
      environment,
      nowMs: NOW,
      fetch: () => Promise.reject(new Error("nothing is fetched here")),
      outdated: () => [],
    });
    expect(diagnosis.findings).toMatchObject([{ cause: "as_refused" }]);
    for (const one of why) expect(diagnosis.findings[0]?.what).toContain(one);
    expect(JSON.stringify([answer, inbox.refused.list(source, 1)[0]?.message, diagnosis])).not.toMatch(
      /of-ours|the-right-secret|the-verify-token/,
    );
  });
});
