import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { run, scratch, serve, type Scratch } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";

/** A message is discarded, resent or paused while it is being sent. */

const config = (url: string): string => `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]

[destinations.app]
url = "${url}"
sign = "none"
`;

/** A receiver that answers when it is told to. */
function startReceiver() {
  const waiting: PromiseWithResolvers<Response>[] = [];
  let requests = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      requests++;
      const answer = Promise.withResolvers<Response>();
      waiting.push(answer);
      return answer.promise;
    },
  });
  return {
    url: String(server.url),
    requests: () => requests,
    async answer(status: number): Promise<void> {
      while (waiting.length === 0) await Bun.sleep(10);
      waiting.shift()?.resolve(new Response("an answer", { status }));
    },
    [Symbol.dispose]: () => void server.stop(true),
  };
}

interface Row {
  readonly state: string;
  readonly attempts: number;
  readonly status: number | null;
}

function rowOf(inbox: Scratch): Row {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  const sql = "select state, attempts, last_status as status from hookonce_messages order by id";
  return database.prepare(sql).get() as Row;
}

async function listed(inbox: Scratch, state: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await run(["messages", "--state", state, "--json", "--folder", inbox.path]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

for (const status of [200, 500])
  testUnless(
    onlyInFullRun(),
    `a message that is discarded while it is being sent stays discarded, and is not sent again: ${status}`,
    async () => {
      using receiver = startReceiver();
      using inbox = scratch({ "hookonce.toml": config(receiver.url) });
      {
        await using server = await serve(inbox.path);
        await server.post("/webhook", { event_id: "evt_1" });
        while (receiver.requests() === 0) await Bun.sleep(10);
        // It is stored as waiting, so that it is sent again after a crash.
        expect(rowOf(inbox).state).toBe("waiting");
        const [sending] = await listed(inbox, "sending");
        expect([sending?.["event_id"], sending?.["next_at"]]).toEqual(["evt_1", null]);
        expect(await listed(inbox, "waiting")).toEqual([]);
        const id = String(sending?.["id"]);
        const gone = await run(["discard", id, "--reason", "too late", "--folder", inbox.path]);
        expect([gone.code, gone.stdout]).toEqual([0, expect.stringContaining("1 message discarded.")]);
        await receiver.answer(status);
        while (rowOf(inbox).attempts === 0) await Bun.sleep(10);
        expect(rowOf(inbox)).toEqual({ state: "discarded", attempts: 1, status });
        const again = await run(["discard", id, "--reason", "x", "--folder", inbox.path]);
        expect([again.code, again.stdout]).toEqual([0, "Nothing to do: 1 message is done.\n"]);
      }
      await using server = await serve(inbox.path);
      await server.post("/webhook", { event_id: "evt_2" });
      await receiver.answer(200);
      expect(receiver.requests()).toBe(2);
      // resend sends it after all.
      const sent = await run(["resend", "--state", "discarded", "--folder", inbox.path]);
      expect(sent.stdout).toContain("1 message sent again.");
      await receiver.answer(200);
      while (rowOf(inbox).state !== "delivered") await Bun.sleep(10);
      expect(receiver.requests()).toBe(3);
    },
    60_000,
  );

testUnless(
  onlyInFullRun(),
  "a message that is sent again while it is being sent has one request at a time, and arrives once",
  async () => {
    using receiver = startReceiver();
    using inbox = scratch({ "hookonce.toml": config(receiver.url) });
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: "evt_1" });
    while (receiver.requests() === 0) await Bun.sleep(10);
    const sent = await run(["resend", "--state", "waiting", "--folder", inbox.path]);
    expect(sent.code).toBe(0);
    await receiver.answer(200);
    while (rowOf(inbox).state !== "delivered") await Bun.sleep(10);
    await server.post("/webhook", { event_id: "evt_2" });
    await receiver.answer(200);
    expect(receiver.requests()).toBe(2);
  },
  60_000,
);
