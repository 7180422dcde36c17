import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { receiveMessages, until } from "../outbox/support/received.ts";
import { run, scratch, serve, type Scratch } from "./support/hookonce.ts";

/** What a reload does to messages. */

const source = (forward?: string): string => `version = 1

[sources.default]
provider     = "unsigned"
allow_public = true
event_id     = "body:$.event_id"
type         = "body:$.type"
${forward === undefined ? "" : `forward = ["${forward}"]\n`}`;

const app = (url: string, concurrency: number): string =>
  `\n[destinations.app]\nurl = "${url}"\nsign = "none"\nconcurrency = ${concurrency}\n`;

/** A command that runs until the file `go` exists. */
const command = (note: string): string =>
  `\n[destinations.app]\ncommand = ["/bin/sh", "-c", "echo ${note} began >> ran; while ! [ -e go ]; do sleep 0.05; done; echo ${note} ended >> ran"]\n`;

const event = (id: string): object => ({ event_id: id, type: "paid" });

async function reload(inbox: Scratch): Promise<void> {
  expect(await run(["reload", inbox.path])).toMatchObject({ code: 0 });
}

async function statesOf(inbox: Scratch): Promise<Record<string, string>> {
  const { stdout } = await run(["messages", "--folder", inbox.path, "--json"]);
  const messages = stdout
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { event_id: string; state: string });
  return Object.fromEntries(messages.map(({ event_id: id, state }) => [id, state]));
}

describeUnless(onlyInFullRun(), "messages at a reload", () => {
  test("what is being sent ends as it began, and the rest is sent as the new config says", async () => {
    const held = Promise.withResolvers<Response>();
    await using one = receiveMessages(() => held.promise);
    await using two = receiveMessages();
    using inbox = scratch({ "hookonce.toml": source("app") + app(one.url, 1) });
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", event("1"));
    await until("the first is sent", () => one.received.length === 1);
    await server.post("/webhook", event("2"));
    inbox.write({ "hookonce.toml": source("app") + app(two.url, 4) });
    await reload(inbox);
    await until("the second is sent", () => two.received.length === 1);
    expect(two.received.map(({ eventId }) => eventId)).toEqual(["2"]);
    held.resolve(new Response("ok"));
    await server.post("/webhook", event("3"));
    await until("the third is sent", () => two.received.length === 2);
    await until("all are delivered", async () =>
      Object.values(await statesOf(inbox)).every((state) => state === "delivered"),
    );
    expect(one.received.map(({ eventId }) => eventId)).toEqual(["1"]);
    expect(two.received.map(({ eventId }) => eventId)).toEqual(["2", "3"]);
  }, 60_000);

  test("those of a destination that is gone wait, listed, until it is there again", async () => {
    let status = 503;
    await using one = receiveMessages(() => new Response(null, { status }));
    using inbox = scratch({ "hookonce.toml": source("app") + app(one.url, 4) });
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", event("1"));
    await until("it is tried", () => one.received.length === 1);
    // Nothing is sent on any more, and a handler takes the events.
    inbox.write({ "hookonce.toml": source(), "handlers/default/_any.sql": "select 1;" });
    await reload(inbox);
    status = 200;
    const { length } = one.received;
    // Longer than the first wait of a retry.
    await Bun.sleep(3000);
    expect(one.received).toHaveLength(length);
    expect(await statesOf(inbox)).toEqual({ "1": "waiting" });
    const { stdout } = await run(["status", "--folder", inbox.path, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ destinations: [{ name: "app" }] });
    inbox.write({ "hookonce.toml": source("app") + app(one.url, 4) });
    await reload(inbox);
    await until("it is sent again", () => one.received.length === length + 1);
    await until("it is delivered", async () => (await statesOf(inbox))["1"] === "delivered");
  }, 60_000);

  test("the first destination of an inbox sends at once", async () => {
    await using one = receiveMessages();
    using inbox = scratch({ "hookonce.toml": source(), "handlers/default/_any.sql": "select 1;" });
    await using server = await serve(inbox.path, { dev: false });
    inbox.write({ "hookonce.toml": source("app") + app(one.url, 4) });
    await reload(inbox);
    await server.post("/webhook", event("1"));
    await until("it is sent", () => one.received.length === 1);
  }, 60_000);

  test.skipIf(process.platform === "win32")(
    "a command that runs is not ended",
    async () => {
      using inbox = scratch({ "hookonce.toml": source("app") + command("old") });
      await using server = await serve(inbox.path, { dev: false, environment: { PATH: "/usr/bin:/bin" } });
      const ran = join(inbox.path, "ran");
      await server.post("/webhook", event("1"));
      await until("the command runs", () => existsSync(ran));
      inbox.write({ "hookonce.toml": source("app") + command("new") });
      await reload(inbox);
      inbox.write({ go: "" });
      await until("the old command ends", () => readFileSync(ran, "utf8").includes("old ended"));
      await server.post("/webhook", event("2"));
      await until("the new command ends", () => readFileSync(ran, "utf8").includes("new ended"));
      expect(readFileSync(ran, "utf8")).toBe("old began\nold ended\nnew began\nnew ended\n");
    },
    60_000,
  );
});
