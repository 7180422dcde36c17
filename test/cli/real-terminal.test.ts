import { expect } from "bun:test";
import { join } from "node:path";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { hookonce, inboxFiles, scratch, serve } from "./support/hookonce.ts";

/** Clears the screen, moves home, sets the title, switches to the other screen, turns colours around, rings. */
const HOSTILE = "\u001B[2J\u001B[H\u001B]0;owned\u0007\u001B[?1049h\u001B[7m\u009B31mevil\r\u0007";

const TITLE = "as it was";

testUnless(
  onlyInFullRun() ?? needsCommand("tmux"),
  "a hostile payload is text in a real terminal, and does nothing",
  async () => {
    using inbox = scratch({
      ...inboxFiles,
      "handlers/default/_any.sql": "select 1;",
      "handlers/default/evil.ts": `import { handler } from "hookonce";
export default handler(({ event }) => {
  throw new Error((event.payload as { text: string }).text);
});
`,
    });
    await using server = await serve(inbox.path);
    const deep = JSON.parse(`${'{"a":'.repeat(899)}1${"}".repeat(899)}`) as unknown;
    const statuses = [
      await server.post("/webhook", { event_id: "evt_a", type: "evil", text: HOSTILE, [HOSTILE]: HOSTILE }),
      await server.post("/webhook", { event_id: "evt_b", type: "long", text: "x".repeat(900_000) }),
      await server.post("/webhook", { event_id: "evt_c", type: "deep", deep }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([500, 200, 200]);

    const socket = `hookonce-test-${process.pid}`;
    const tmux = async (...args: string[]): Promise<string> => {
      const child = Bun.spawn(["tmux", "-L", socket, "-f", "/dev/null", ...args], {
        env: { HOME: inbox.path, TERM: "xterm", LANG: "C.UTF-8", PATH: process.env["PATH"] ?? "" },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [text, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      if ((await child.exited) !== 0) throw new Error(errors);
      return text;
    };
    const commands = [["events"], ["event", "evt_a"], ["event", "evt_b"], ["event", "evt_c"], ["failures"]]
      .map((args) => [...hookonce, ...args, "--folder", inbox.path].map((arg) => `'${arg}'`).join(" "))
      .join("; ");
    inbox.write({ "run.sh": `${commands}; echo all is shown; exec sleep 600\n` });
    try {
      await tmux("new-session", "-d", "-x", "80", "-y", "24", "-n", "w", `sh ${join(inbox.path, "run.sh")}`);
      await tmux("select-pane", "-T", TITLE);
      let screen = "";
      const deadline = performance.now() + 60_000;
      while (!screen.includes("all is shown") && performance.now() < deadline) {
        await Bun.sleep(200);
        screen = await tmux("capture-pane", "-p", "-S", "-", "-E", "-");
      }
      // Nothing was cleared: the first command is still on the screen and in its history.
      expect(screen).toMatch(/^time +outcome +source +type/);
      expect(screen).toContain(String.raw`\u001b[2J\u001b[H\u001b]0;owned\u0007`);
      expect(screen).toContain("all is shown");
      expect(screen).toMatch(/more characters/);
      expect((await tmux("display-message", "-p", "#{pane_title} #{alternate_on}")).trim()).toBe(
        `${TITLE} 0`,
      );
      // With the attributes of each cell: nothing is reversed or coloured.
      const styled = await tmux("capture-pane", "-p", "-e", "-S", "-", "-E", "-");
      expect(styled.split("\u001B[").filter((part) => /^(?:7|3\d|4\d)m/.test(part))).toEqual([]);
    } finally {
      await tmux("kill-server").catch(() => "");
    }
  },
  120_000,
);
