import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { inboxFiles, run, scratch, serve, type Ended } from "./support/hookonce.ts";

const ESCAPE = "\u001b[2J";
const BIDI = "\u202e";
const ZERO_WIDTH = "\u200b";
/** C0, DEL, C1, marks that reorder text, invisible characters and separators of lines. */
const HOSTILE = `${ESCAPE}\b\u007f\u009b31m${BIDI}\u2066${ZERO_WIDTH}\ufeff\u2028\u2029\u{e0041}end`;

/** Whatever was printed, a terminal shows it and does nothing else. */
function expectNoHidden({ stdout, stderr }: Ended): void {
  expect(`${stdout}${stderr}`.match(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu)).toBeNull();
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

  test("is the same value in --json, and a terminal shows all of it", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "handlers/default/_any.sql": "select 1;",
      "handlers/default/evil.ts": `import { handler } from "hookonce";
export default handler(({ event }) => {
  throw new Error((event.payload as { text: string }).text);
});
`,
      "ids.txt": `evt_${ZERO_WIDTH}1_imported`,
    });
    await using server = await serve(inbox.path);
    const delivered = { event_id: `evt_${BIDI}1`, type: "evil", text: HOSTILE, [HOSTILE]: `\0${HOSTILE}` };
    await server.post("/webhook", delivered);
    await server.post("/webhook", { ...delivered, event_id: "evt_2", type: `evil${BIDI}` });

    const inFolder = ["--json", "--folder", inbox.path];
    async function jsonOf(...args: string[]): Promise<Record<string, unknown>[]> {
      const ended = await run([...args, ...inFolder]);
      expectNoHidden(ended);
      return ended.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    }
    const [event] = await jsonOf("event", delivered.event_id);
    expect(event?.["payload"]).toEqual(delivered);
    expect(event?.["failure"]).toMatchObject({ error: HOSTILE });
    expect((await jsonOf("events")).map(({ type }) => type)).toEqual([`evil${BIDI}`, "evil"]);
    expect(await jsonOf("failures")).toMatchObject([{ event_id: delivered.event_id, error: HOSTILE }]);
    expect((await jsonOf("status"))[0]).toMatchObject({ owed: [{ source: "default", type: "evil" }] });
    const applied = await jsonOf("apply");
    expect(applied.at(-1)).toMatchObject({ failure: { event_id: delivered.event_id, error: HOSTILE } });
    const [dryRun] = await jsonOf("apply", "--dry-run");
    expect(dryRun).toMatchObject({ would_run: 1 });
    const discarded = await jsonOf("discard", delivered.event_id, "--reason", HOSTILE);
    expect(discarded).toMatchObject([{ type: "evil", discarded: 1 }]);
    expect(await jsonOf("import", join(inbox.path, "ids.txt"), "--source", "default")).toEqual([
      { new: 1, known: 0, owed: 0, old: 0, refused: 0 },
    ]);
    const [imported] = await jsonOf("event", `evt_${ZERO_WIDTH}1_imported`);
    expect(imported).toMatchObject({ event_id: `evt_${ZERO_WIDTH}1_imported`, outcome: "imported" });
    for (const args of [
      ["event", delivered.event_id],
      ["events"],
      ["failures"],
      ["status"],
      ["apply", `evt_${ESCAPE}${BIDI}`],
      ["import", join(inbox.path, `no${ESCAPE}`), "--source", "default"],
      ["verify", "--source", `no${BIDI}`, "--last"],
      ["check"],
      [`no${ESCAPE}`],
    ])
      expectNoHidden(await run([...args, "--folder", inbox.path]));
  }, 60_000);
});
