import { expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { sign } from "../../src/providers/verifier.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { rawClient } from "./support/raw-client.ts";

const FILES = {
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
};

const event = (id: string) => ({ event_id: id, type: "paid" });

async function answer(inbox: TestInbox, id: string): Promise<string> {
  const { status, body } = await inbox.deliver(event(id));
  return `${status} ${body.status ?? body.error.code}`;
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(5);
  }
}

test("a refusing source answers 503 with Retry-After, stores nothing, and receives again after a resume", async () => {
  await using inbox = await testInbox({ files: FILES, upkeep: { minuteMs: 60_000 } });
  await inbox.pausing.pause("default", { refuse: true }, "sam");
  const response = await inbox.request("/webhook", { method: "POST", body: JSON.stringify(event("a")) });
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "60"]);
  expect(await response.json()).toMatchObject({ error: { code: "source_paused" } });
  expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  // The delivery is not at fault, so it is counted and not shown to the doctor.
  expect(inbox.refused.countNow()).toBe(1);
  expect(inbox.refused.list(undefined, 10)).toEqual([]);
  await inbox.pausing.resume("default", {}, "sam");
  expect(await answer(inbox, "a")).toBe("200 processed");
});

test("it refuses from the headers alone, before a byte of the body has arrived", async () => {
  await using inbox = await testInbox({ files: FILES });
  await inbox.pausing.pause("default", { refuse: true }, "sam");
  const { url } = inbox.listen();
  using client = await rawClient(url);
  const head = [
    "POST /webhook HTTP/1.1",
    `host: ${new URL(url).host}`,
    "content-type: application/json",
    "content-length: 1000",
  ];
  await client.send(`${head.join("\r\n")}\r\n\r\n`);
  expect((await client.answer)?.status).toBe(503);
});

test("it still refuses after a restart, from its first delivery on", async () => {
  await using inbox = await testInbox({ files: FILES });
  await inbox.pausing.pause("default", { refuse: true }, "sam");
  await inbox.restart();
  expect(await answer(inbox, "a")).toBe("503 source_paused");
  expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
});

test("it refuses what is in the queue, and exactly what was answered 200 is stored", async () => {
  await using inbox = await testInbox({ files: FILES });
  const deliveries = Array.from({ length: 60 }, (_, n) => answer(inbox, `before ${n}`));
  const paused = inbox.pausing.pause("default", { refuse: true }, "sam");
  const answers = await Promise.all(deliveries);
  await paused;
  expect(await answer(inbox, "after")).toBe("503 source_paused");
  const accepted = answers.filter((one) => one === "200 processed").length;
  expect(answers.filter((one) => one === "503 source_paused")).toHaveLength(60 - accepted);
  expect(inbox.value("select count(*) from effects")).toBe(accepted);
});

test("other sources are received, and so are handshakes of the source", async () => {
  const NOW = 1_790_000_000_000;
  await using inbox = await testInbox({
    config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.chat]
provider   = "slack"
secret     = "env:S"
held_reply = { body = "Back soon" }

[sources.page]
provider     = "meta"
secret       = "env:S"
verify_token = "env:TOKEN"
`,
    environment: { S: "secret", TOKEN: "verify me" },
    files: FILES,
    clock: () => NOW,
  });
  for (const name of ["chat", "page"]) await inbox.pausing.pause(name, { refuse: true }, "sam");
  const post = async (payload: object): Promise<Response> => {
    const request = await sign(
      providers.get("slack") as Provider,
      {
        method: "POST",
        url: "http://localhost/webhook/chat",
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify(payload)),
      },
      { secret: "secret" },
      NOW,
    );
    return inbox.request("/webhook/chat", { ...request, body: Buffer.from(request.body) });
  };
  expect(await answer(inbox, "a")).toBe("200 processed");
  const challenge = await post({ type: "url_verification", challenge: "hello" });
  expect([challenge.status, await challenge.text()]).toEqual([200, "hello"]);
  expect((await post({ type: "event_callback", event_id: "Ev1", event: { type: "message" } })).status).toBe(
    503,
  );
  const asked = await inbox.request(
    "/webhook/page?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=verify%20me",
  );
  expect([asked.status, await asked.text()]).toEqual([200, "1158"]);
  expect((await inbox.request("/webhook/page", { method: "POST", body: "{}" })).status).toBe(401);
});

test("a held event is answered with held_reply, and a repeat after the resume with the handler's reply", async () => {
  await using inbox = await testInbox({
    config: `
[sources.default]
provider   = "unsigned"
event_id   = "body:$.event_id"
type       = "body:$.type"
held_reply = { status = 202, headers = { "x-note" = "paused" }, body = { text = "Back soon" } }
`,
    files: {
      "handlers/default/paid.ts": `import { handler, reply } from "hookonce";
export default handler(({ event }) => reply({ body: "done " + event.id }));`,
    },
    upkeep: { minuteMs: 60_000 },
  });
  const post = async (payload: object): Promise<unknown[]> => {
    const response = await inbox.request("/webhook", { method: "POST", body: JSON.stringify(payload) });
    const { headers } = response;
    return [response.status, headers.get("content-type"), headers.get("x-note"), await response.text()];
  };
  await inbox.pausing.pause("default", {}, "sam");
  const held = [202, "application/json", "paused", '{"text":"Back soon"}'];
  expect(await post(event("a"))).toEqual(held);
  expect(await post(event("a"))).toEqual(held);
  await inbox.pausing.resume("default", {}, "sam");
  await until(() => inbox.value("select count(*) from hookonce_source_states") === 0);
  const said = [200, "text/plain;charset=utf-8", null, "done a"];
  const [status, type, note, body] = await post(event("a"));
  expect([status, (type as string).replace(" ", ""), note, body]).toEqual(said);
  // Without a handler it is the usual answer: held_reply is for what is held.
  expect((await post({ event_id: "b", type: "other" }))[3]).toContain('"unhandled"');
});

test("without held_reply, a held event gets the preset's own answer", async () => {
  await using inbox = await testInbox({
    config: `
[sources.ledger]
provider = "xero"
secret   = "env:S"
`,
    environment: { S: "secret" },
  });
  await inbox.pausing.pause("ledger", {}, "sam");
  const body = Buffer.from(
    JSON.stringify({
      events: [
        {
          resourceId: "r1",
          eventType: "UPDATE",
          eventCategory: "INVOICE",
          eventDateUtc: "2026-01-01T00:00:00.000",
        },
      ],
    }),
  );
  const request = await sign(
    providers.get("xero") as Provider,
    {
      method: "POST",
      url: "http://localhost/webhook/ledger",
      headers: { "content-type": "application/json" },
      body,
    },
    { secret: "secret" },
    Date.now(),
  );
  const response = await inbox.request("/webhook/ledger", { ...request, body });
  expect([response.status, await response.text()]).toEqual([200, ""]);
  expect(inbox.value("select outcome from hookonce_events")).toBe("held");
});
