import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Ended } from "./support/hookonce.ts";

const ESCAPE = "\u001b[2J";
const BIDI = "\u202e";

/** Whatever was printed, a terminal shows it and does nothing else. */
function expectNoHidden({ stdout, stderr }: Ended): void {
  expect(`${stdout}${stderr}`.match(/(?![\n\t])[\p{Cc}\p{Cf}]/gu)).toBeNull();
}

describeUnless(onlyInFullRun(), "text of senders and handlers on a terminal", () => {
  test("is shown as text by check and apply", async () => {
    using inbox = scratch({
      "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
      "handlers/default/paid_.ts": `import { handler } from "hookonce";
export default handler(() => {
  throw new Error("${ESCAPE}no${BIDI}\\nevt_9  processed");
});
`,
    });
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: `evt_${BIDI}1`, type: `paid${BIDI}` });
    await server.post("/webhook", { event_id: "evt_2", type: `other${BIDI}` });
    server.signal("SIGTERM");
    expectNoHidden(await server.ended);

    const applied = await run(["apply", "--folder", inbox.path]);
    expectNoHidden(applied);
    expect(applied.code).toBe(1);
    expect(applied.stdout).toContain("failed  default  evt_\\u202e1  paid\\u202e\n");
    expect(applied.stdout).toContain("handler_error: \\u001b[2Jno\\u202e\n    evt_9  processed\n");
    expect(applied.stdout).toContain("other\\u202e");

    const checked = await run(["check", inbox.path]);
    expectNoHidden(checked);
    expect(checked.stdout).toContain("source default, type paid\\u202e (handlers/default/paid_.ts)");

    inbox.write({ [`handlers/default/${BIDI}${ESCAPE}.sql`]: "select 1;" });
    const refused = await run(["check", inbox.path]);
    expectNoHidden(refused);
    expect(refused.stderr).toContain("handlers/default/\\u202e\\u001b[2J.sql: ");
    // The same for a start that is refused.
    expectNoHidden(await run(["serve", inbox.path, "--dev"]));
  });

  test("is shown as text by send and verify", async () => {
    using receiver = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      development: false,
      fetch: () => new Response(`${ESCAPE}gone${BIDI}`, { status: 410 }),
    });
    const sent = await run(["send", "github", "--to", receiver.url.href, "--secret", "env:S"], {
      environment: { S: "secret" },
    });
    expectNoHidden(sent);
    expect(sent.stdout).toContain("410 \\u001b[2Jgone\\u202e");

    using inbox = scratch({
      "hookonce.toml": 'version = 1\n[sources.github]\nprovider = "github"\nsecret = "env:S"\n',
      "saved.http": `POST /webhook/github HTTP/1.1\r\nX-Hub-Signature-256: sha256=\u009b31m${BIDI}\r\n\r\n{}`,
    });
    const verified = await run(
      ["verify", "--source", "github", "--request", join(inbox.path, "saved.http"), "--folder", inbox.path],
      { environment: { S: "secret" } },
    );
    expectNoHidden(verified);
    expect(verified.code).toBe(1);
  });
});
