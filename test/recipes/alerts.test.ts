import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect } from "bun:test";
import { needsCommand, testUnless } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";
import { testInbox } from "../support/test-inbox.ts";

testUnless(
  needsCommand("jq") ?? needsCommand("curl"),
  "the recipe for a message when something is wrong sends the sentence",
  async () => {
    const said = Promise.withResolvers<string>();
    using ntfy = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const text = await request.text();
        if (text.includes("paused")) said.resolve(`${request.headers.get("title")}: ${text}`);
        return new Response();
      },
    });
    const script = block("sh", "ntfy.sh").replace("https://ntfy.sh", ntfy.url.href.replace(/\/$/, ""));
    await using inbox = await testInbox({
      config: `${block("toml", "[alerts]")}
[sources.shop]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"`,
      files: { "tell.sh": script },
      alerts: { everyMs: 5, holdMs: 0 },
      sendsOn: true,
    });
    chmodSync(join(inbox.folder, "tell.sh"), 0o755);
    await inbox.pausing.pause("shop", {}, "sam");
    expect(await said.promise).toBe("hookonce: The source shop is paused, and holds its events.\n");
  },
  30_000,
);
