import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { receiveMessages, until } from "./support/received.ts";

/** What becomes of messages that are being sent when serve ends. */

const environment = { PATH: process.env["PATH"] ?? "" };

/** An inbox whose destination runs a script. The script appends to the file `log`. */
function withCommand(script: string, keys = ""): Scratch {
  return scratch({
    "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["job"]
[destinations.job]
command = ["/bin/sh", "job.sh"]
${keys}
`,
    "job.sh": script,
  });
}

function withUrl(url: string): Scratch {
  return scratch({
    "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]
[destinations.app]
url = "${url}"
sign = "none"
`,
  });
}

interface Row {
  readonly state: string;
  readonly attempts: number;
  readonly tries: number;
  readonly last_error: string | null;
}

function messages({ path }: Scratch): Row[] {
  using db = new Database(join(path, "data/hookonce.db"), { readonly: true });
  return db
    .query<Row, []>("select state, attempts, tries, last_error from hookonce_messages order by id")
    .all();
}

const logOf = async ({ path }: Scratch): Promise<string[]> => {
  const file = Bun.file(join(path, "log"));
  return (await file.exists()) ? (await file.text()).trim().split("\n") : [];
};

const isThere = async (inbox: Scratch, line: string): Promise<boolean> => (await logOf(inbox)).includes(line);

/** Stops serve as systemd does. Resolves with the seconds that it took. */
async function stop(server: Serving): Promise<number> {
  const began = performance.now();
  server.signal("SIGTERM");
  expect((await server.ended).code).toBe(0);
  return (performance.now() - began) / 1000;
}

/** The first run takes long, and the others do not. `overlap` is written if the first one still runs. */
const LONG_ONCE = `if [ -f pid ] && grep -q '^State:.[^Z]' "/proc/$(cat pid)/status" 2>/dev/null; then echo overlap >> log; fi
echo "start $HOOKONCE_ATTEMPT" >> log
if [ "$HOOKONCE_ATTEMPT" = 1 ]; then echo $$ > pid; IGNORE; sleep 100 & wait; sleep 100; fi
echo "end $HOOKONCE_ATTEMPT" >> log
`;

for (const [how, ignore] of [
  ["ends at SIGTERM", ":"],
  ["ignores SIGTERM", "trap '' TERM"],
] as const)
  testUnless(
    onlyInFullRun() ?? needsLinux(),
    `a stop ends a command that ${how}, and it runs again at the next start`,
    async () => {
      using inbox = withCommand(LONG_ONCE.replace("IGNORE", ignore));
      {
        await using server = await serve(inbox.path, { environment });
        await server.post("/webhook", { event_id: "1" });
        await server.post("/webhook", { event_id: "2" });
        await until("it runs", () => isThere(inbox, "start 1"));
        expect(messages(inbox)).toMatchObject([{ state: "sending" }, { state: "waiting" }]);
        expect(await stop(server)).toBeLessThan(10);
      }
      expect(messages(inbox)).toMatchObject([
        { state: "interrupted", attempts: 1, tries: 0, last_error: "hookonce stopped" },
        { state: "waiting", attempts: 0 },
      ]);
      await using _ = await serve(inbox.path, { environment });
      await until("the first runs again", () => isThere(inbox, "end 2"));
      expect(await logOf(inbox)).not.toContain("overlap");
    },
    60_000,
  );

testUnless(
  onlyInFullRun(),
  'with on_stop = "wait" a stop waits for the command, and starts no other',
  async () => {
    using inbox = withCommand(
      `echo start >> log; while [ ! -f go ]; do sleep 0.05; done; echo end >> log`,
      'on_stop = "wait"',
    );
    await using server = await serve(inbox.path, { environment });
    for (const id of ["1", "2"]) await server.post("/webhook", { event_id: id });
    await until("it runs", () => isThere(inbox, "start"));
    server.signal("SIGTERM");
    await server.logged('waiting for a running command to end (on_stop = "wait")');
    await until("nothing is received any more", async () => {
      const answer = await fetch(`${server.url}/webhook`, { method: "POST" }).catch(() => null);
      return answer === null;
    });
    // A second signal does not shorten the wait.
    server.signal("SIGTERM");
    await Bun.sleep(500);
    expect(messages(inbox)).toMatchObject([{ state: "sending" }, { state: "waiting" }]);
    inbox.write({ go: "" });
    expect((await server.ended).code).toBe(0);
    expect(messages(inbox)).toMatchObject([
      { state: "delivered", attempts: 1, tries: 1 },
      { state: "waiting", attempts: 0 },
    ]);
    expect(await logOf(inbox)).toEqual(["start", "end"]);
  },
  60_000,
);

testUnless(
  onlyInFullRun() ?? needsLinux(),
  "a command that outlives kill -9 is ended before it runs again",
  async () => {
    using inbox = withCommand(LONG_ONCE.replace("IGNORE", "trap '' TERM"));
    {
      await using server = await serve(inbox.path, { environment });
      await server.post("/webhook", { event_id: "1" });
      await until("it runs", () => isThere(inbox, "start 1"));
      server.signal("SIGKILL");
      await server.ended;
    }
    const pid = Number(await Bun.file(join(inbox.path, "pid")).text());
    expect(process.kill(pid, 0)).toBe(true);
    expect(messages(inbox)).toMatchObject([{ state: "sending", attempts: 1, tries: 0 }]);
    await using _ = await serve(inbox.path, { environment });
    await until("it has run again", () => messages(inbox)[0]?.state === "delivered");
    expect(messages(inbox)).toMatchObject([{ attempts: 2, tries: 1, last_error: null }]);
    expect(await logOf(inbox)).toEqual(["start 1", "start 2", "end 2"]);
  },
  60_000,
);

testUnless(
  onlyInFullRun(),
  "a request that is answered soon after a stop has its result",
  async () => {
    const stopped = Promise.withResolvers<void>();
    await using app = receiveMessages(async () => {
      await stopped.promise;
      await Bun.sleep(300);
      return new Response("ok");
    });
    using inbox = withUrl(app.url);
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: "1" });
    await until("it is being sent", () => app.received.length === 1);
    server.signal("SIGTERM");
    stopped.resolve();
    expect((await server.ended).code).toBe(0);
    expect(messages(inbox)).toMatchObject([{ state: "delivered", attempts: 1 }]);
  },
  60_000,
);

testUnless(
  onlyInFullRun(),
  "a request that is not answered is interrupted by a stop, and sent again at the next start",
  async () => {
    let hangs = true;
    await using app = receiveMessages(() =>
      hangs ? new Promise(() => {}) : Promise.resolve(new Response("ok")),
    );
    using inbox = withUrl(app.url);
    {
      await using server = await serve(inbox.path);
      await server.post("/webhook", { event_id: "1" });
      await until("it is being sent", () => app.received.length === 1);
      expect(await stop(server)).toBeWithin(2.5, 9);
    }
    expect(messages(inbox)).toMatchObject([{ state: "interrupted", attempts: 1, tries: 0 }]);
    hangs = false;
    await using _ = await serve(inbox.path);
    await until("it is delivered", () => messages(inbox)[0]?.state === "delivered");
    expect(app.received.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(app.received.map(({ id }) => id)).size).toBe(1);
  },
  60_000,
);
