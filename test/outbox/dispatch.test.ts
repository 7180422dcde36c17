import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";
import { receiver } from "./receivers.ts";
import { receiveMessages, until, type MessageReceiver } from "./support/received.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

/** Sending as `serve` does it, to receivers on this machine. */

const SECOND = 1000;
const HOUR = 3600 * SECOND;

interface Destinations {
  /** Name → the lines of its table. */
  readonly [name: string]: string;
}

const SOURCE = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`;

const configOf = (destinations: Destinations): string =>
  [
    SOURCE,
    `forward = ${JSON.stringify(Object.keys(destinations))}`,
    ...Object.entries(destinations).map(([name, lines]) => `[destinations.${name}]\n${lines}`),
  ].join("\n");

const to = ({ url }: Pick<MessageReceiver, "url">, more = ""): string =>
  `url = "${url}/hook"\nsign = "none"\n${more}`;

/** An inbox that sends on, and a clock that the test sets. */
async function sending(destinations: Destinations, options: TestInboxOptions = {}) {
  let passed = 0;
  const inbox = await testInbox({
    config: configOf(destinations),
    sendsOn: true,
    clock: () => Date.now() + passed,
    ...options,
  });
  return {
    inbox,
    pass: (ms: number): void => {
      passed += ms;
      for (const name of Object.keys(destinations)) inbox.outbox.wake(name);
    },
    deliver: (...ids: readonly string[]) =>
      Promise.all(ids.map((id) => inbox.deliver({ event_id: id, type: "a" }))),
  };
}

const count = (from: number, upTo: number): string[] =>
  Array.from({ length: upTo - from + 1 }, (_, index) => `e${from + index}`);

const states = (inbox: TestInbox, destination: string): Record<string, number> =>
  Object.fromEntries(
    inbox
      .rows(
        "select state, count(*) as n from hookonce_messages where destination = ? group by state order by state",
        destination,
      )
      .map(({ state, n }) => [state, n]),
  );

const message = (inbox: TestInbox) =>
  inbox.rows(
    "select state, attempts, tries, last_status, last_error, next_at, settled_at from hookonce_messages",
  )[0];

const logged = (inbox: TestInbox, text: string) => inbox.log.filter(({ msg }) => msg.includes(text));

const BUSY = (): Response => new Response("try later", { status: 500 });

describeUnless(onlyInFullRun(), "a message", () => {
  test("arrives once, with its event's bytes, and is settled", async () => {
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver(...count(1, 50));
    await until("all are delivered", () => states(inbox, "app")["delivered"] === 50);
    expect(app.received.map(({ eventId }) => eventId).toSorted()).toEqual(count(1, 50).toSorted());
    expect(new Set(app.received.map(({ id }) => id)).size).toBe(50);
    expect(app.received[0]).toMatchObject({ attempt: 1, body: '{"event_id":"e1","type":"a"}' });
    expect(message(inbox)).toMatchObject({ attempts: 1, tries: 1, last_status: 200, last_error: null });
    expect(inbox.rows("select number, status, error, answer from hookonce_attempts limit 1")).toEqual([
      { number: 1, status: 200, error: null, answer: "ok" },
    ]);
  });

  test("that fails is sent again with the same id, not before its time", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    expect(message(inbox)).toMatchObject({
      state: "waiting",
      tries: 1,
      last_status: 500,
      last_error: "answered 500",
      settled_at: null,
    });
    expect(message(inbox).next_at - Date.now()).toBeLessThanOrEqual(2 * SECOND);
    app.answer = () => new Response("ok");
    pass(2 * SECOND);
    await until("it is delivered", () => message(inbox).state === "delivered");
    expect(app.received.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(app.received.map(({ id }) => id)).size).toBe(1);
    expect(message(inbox)).toMatchObject({ attempts: 2, last_status: 200, last_error: null });
    expect(logged(inbox, "a message was not delivered")).toMatchObject([
      { level: 40, destination: "app", event: "e1", attempt: 1, status: 500, cause: "answered 500" },
    ]);
  });

  test("is dead after retry_for and five tries, and is kept", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app, 'retry_for = "2h"') });
    await using _ = inbox;
    await deliver("e1");
    for (let tries = 1; tries <= 5; tries++) {
      await until(`try ${tries}`, () => message(inbox).tries === tries);
      if (tries < 5) expect(message(inbox).state).toBe("waiting");
      pass(HOUR);
    }
    expect(message(inbox)).toMatchObject({ state: "dead", attempts: 5, last_status: 500 });
    expect(logged(inbox, "a message is dead")).toHaveLength(1);
  });

  test("is sent under the new name of its source", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    const config = configOf({ app: to(app) }).replace(
      "sources.default]",
      'sources.shop]\nrenamed_from = "default"',
    );
    await inbox.restart({ config });
    app.answer = () => new Response("ok");
    pass(2 * SECOND);
    await until("it was tried again", () => message(inbox).attempts === 2);
    expect(message(inbox)).toMatchObject({ state: "delivered", last_error: null });
  });

  test("that cannot be read is dead, and those after it are sent", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    {
      using other = new Database(inbox.databasePath);
      other.run("update hookonce_bodies set headers = 'no JSON'");
    }
    app.answer = () => new Response("ok");
    pass(2 * SECOND);
    await until("it is dead", () => message(inbox).state === "dead");
    expect(message(inbox).last_error).toStartWith("what is stored of it cannot be read: ");
    await deliver("e2");
    await until("the other is delivered", () => states(inbox, "app")["delivered"] === 1);
  });

  test("that was written while the clock was ahead is sent once the clock is right", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    app.answer = () => new Response("ok");
    pass(-365 * 24 * HOUR);
    await until("it is delivered", () => message(inbox).state === "delivered");
  });

  test("to a command waits while its source is gone from the config", async () => {
    const command = { app: 'command = ["false"]' };
    const { inbox, deliver } = await sending(command);
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).tries === 1);
    const config = configOf(command).replace("sources.default]", "sources.other]");
    await inbox.restart({ config, open: { acceptIdChange: true } });
    await until("it was looked at", () => message(inbox).attempts === 2);
    expect(message(inbox)).toMatchObject({
      state: "interrupted",
      tries: 1,
      last_error: expect.stringContaining('source "default", which is not in hookonce.toml'),
    });
  });

  test("waits as long as Retry-After says", async () => {
    await using app = receiveMessages(
      () => new Response("slow down", { status: 429, headers: { "retry-after": "7200" } }),
    );
    const { inbox, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    expect(message(inbox).next_at - Date.now()).toBeWithin(2 * HOUR - 30 * SECOND, 2 * HOUR + 1);
  });

  test.each([
    ["hangs", () => {}, /^no answer within 1s$/],
    ["resets the connection", (socket: { resetAndDestroy(): void }) => socket.resetAndDestroy(), /was reset/],
    ["closes without an answer", (socket: { end(): unknown }) => socket.end(), /was reset, or closed/],
    [
      "drips headers",
      (socket: { write(text: string): void; destroyed: boolean }) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        const drip = setInterval(() => {
          if (socket.destroyed) clearInterval(drip);
          else socket.write("x: y\r\n");
        }, 50);
      },
      /^no answer within 1s$/,
    ],
  ])("to a receiver that %s is tried again", async (what, answer, error) => {
    await using app = await receiver(answer);
    const { inbox, deliver } = await sending({ app: to(app, 'timeout = "1s"') });
    await using _ = inbox;
    await deliver("e1");
    await until(`the receiver ${what}`, () => message(inbox).attempts === 1);
    expect(message(inbox)).toMatchObject({ state: "waiting", tries: 1, last_status: null });
    expect(message(inbox).last_error).toMatch(error);
  });

  test("of which nothing is stored any more is dead, and says why", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    inbox.rows("delete from hookonce_bodies");
    pass(HOUR);
    await until("it is dead", () => message(inbox).state === "dead");
    expect(message(inbox).last_error).toContain("its payload was removed");
    expect(app.received).toHaveLength(1);
  });

  test("of a source that is no longer in the config waits until it returns", async () => {
    await using app = receiveMessages(BUSY);
    const destinations = { app: to(app) };
    const { inbox, pass, deliver } = await sending(destinations);
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    app.answer = () => new Response("ok");
    const renamed = SOURCE.replace("sources.default", "sources.other");
    const open = { acceptIdChange: true };
    await inbox.restart({ config: `${renamed}\n[destinations.app]\n${destinations.app}`, open });
    pass(HOUR);
    await until("it was looked at", () => message(inbox).attempts === 2);
    // It does not count as a try, so that the message cannot become dead.
    expect(message(inbox)).toMatchObject({ state: "interrupted", tries: 1 });
    expect(message(inbox).last_error).toContain('the source "default", which is not in hookonce.toml');
    await inbox.restart({ config: configOf(destinations), open });
    pass(2 * HOUR);
    await until("it is delivered", () => message(inbox).state === "delivered");
    expect(app.received).toHaveLength(2);
  });

  test("to a destination that is no longer in the config waits until it returns", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, pass, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await deliver("e1");
    await until("it has failed", () => message(inbox).attempts === 1);
    app.answer = () => new Response("ok");
    await inbox.restart({ config: SOURCE });
    pass(HOUR);
    await Bun.sleep(300);
    expect(message(inbox)).toMatchObject({ state: "waiting", attempts: 1 });
    expect(inbox.outbox.destinations()).toEqual([]);
    await inbox.restart({ config: configOf({ app: to(app) }) });
    pass(0);
    await until("it is delivered", () => message(inbox).state === "delivered");
  });

  test("that another process has enqueued is sent", async () => {
    await using app = receiveMessages();
    const { inbox } = await sending({ app: to(app) });
    await using _ = inbox;
    {
      using db = new Database(inbox.databasePath, { strict: true });
      db.run("pragma busy_timeout = 5000");
      db.run(`insert into hookonce_outbox (destination, body, id) values ('app', '{"a":1}', 'mine')`);
    }
    await until("it is delivered", () => states(inbox, "app")["delivered"] === 1);
    expect(app.received).toMatchObject([{ id: "mine", body: '{"a":1}', eventId: "", attempt: 1 }]);
  });

  test("whose result cannot be recorded is not sent again meanwhile", async () => {
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    const answered = Promise.withResolvers<void>();
    app.answer = async () => {
      await answered.promise;
      return new Response("ok");
    };
    await deliver("e1");
    await until("it is being sent", () => app.received.length === 1);
    expect(inbox.outbox.isSending(1)).toBe(true);
    {
      using db = new Database(inbox.databasePath, { strict: true });
      db.run("begin immediate");
      answered.resolve();
      await until("it was answered", () => !inbox.outbox.isSending(1));
      inbox.outbox.wake("app");
      await Bun.sleep(1500);
      db.run("rollback");
    }
    await until("it is recorded", () => message(inbox).state === "delivered");
    expect(app.received).toHaveLength(1);
  });
});

describeUnless(onlyInFullRun(), "a destination", () => {
  test("gets no more messages at a time than its concurrency", async () => {
    await using app = receiveMessages(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    const { inbox, deliver } = await sending({ app: to(app, "concurrency = 3") });
    await using _ = inbox;
    await deliver(...count(1, 30));
    await until("all are delivered", () => states(inbox, "app")["delivered"] === 30);
    expect(app.most).toBe(3);
  });

  test("gets messages in their order, one at a time, with concurrency = 1", async () => {
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ app: to(app, "concurrency = 1") });
    await using _ = inbox;
    for (const id of count(1, 20)) await deliver(id);
    await until("all are delivered", () => states(inbox, "app")["delivered"] === 20);
    expect(app.received.map(({ eventId }) => eventId)).toEqual(count(1, 20));
    expect(app.most).toBe(1);
  });

  test("gets no more messages per second than its rate", async () => {
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ app: to(app, "rate = 20") });
    await using _ = inbox;
    await deliver(...count(1, 21));
    await until("all are delivered", () => states(inbox, "app")["delivered"] === 21);
    // 20 gaps of 50 ms. The first request may arrive late, because it connects.
    const [first, last] = [app.received[0]?.at ?? 0, app.received.at(-1)?.at ?? 0];
    expect(last - first).toBeGreaterThan(900);
  });

  test("that hangs does not slow another one", async () => {
    const ends = new AbortController();
    await using dead = receiveMessages(
      () => new Promise((resolve) => ends.signal.addEventListener("abort", () => resolve(BUSY()))),
    );
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ dead: to(dead), app: to(app) });
    await using _ = inbox;
    await deliver(...count(1, 200));
    await until("all are delivered to the other", () => states(inbox, "app")["delivered"] === 200);
    expect(dead.received).toHaveLength(4);
    expect(inbox.outbox.destinations()).toMatchObject([
      { name: "dead", sending: 4, lastDeliveredAt: null },
      { name: "app", sending: 0, failuresInARow: 0 },
    ]);
    ends.abort();
  });

  test("that answers 410 is paused, and goes on after a resume", async () => {
    await using app = receiveMessages(() => new Response("no more", { status: 410 }));
    const { inbox, deliver } = await sending({ app: to(app, "concurrency = 1") });
    await using _ = inbox;
    await deliver("e1");
    await until("it is dead", () => states(inbox, "app")["dead"] === 1);
    await deliver(...count(2, 5));
    await Bun.sleep(100);
    expect(states(inbox, "app")).toEqual({ dead: 1, waiting: 4 });
    expect(inbox.outbox.destinations()[0]?.paused?.reason).toBe("answered 410");
    expect(inbox.rows("select name, state, reason from hookonce_destinations")).toEqual([
      { name: "app", state: "paused", reason: "answered 410" },
    ]);
    expect(inbox.rows("select actor, action, target, reason from hookonce_audit")).toEqual([
      { actor: "hookonce", action: "pause", target: "app", reason: "answered 410" },
    ]);
    app.answer = () => new Response("ok");
    await inbox.outbox.resume("app", "ada");
    await until("the others are delivered", () => states(inbox, "app")["delivered"] === 4);
    expect(states(inbox, "app")).toEqual({ dead: 1, delivered: 4 });
  });

  test("that is paused gets nothing, also after a restart, until it is resumed", async () => {
    await using app = receiveMessages();
    const { inbox, deliver } = await sending({ app: to(app) });
    await using _ = inbox;
    await inbox.outbox.pause("app", "maintenance", "ada");
    await deliver("e1", "e2");
    await Bun.sleep(100);
    await inbox.restart();
    await deliver("e3");
    await until("it is loaded", () => inbox.outbox.destinations().length === 1);
    await Bun.sleep(100);
    expect(states(inbox, "app")).toEqual({ waiting: 3 });
    expect(inbox.outbox.destinations()[0]?.paused).toMatchObject({ reason: "maintenance" });
    await inbox.outbox.resume("app", "ada");
    await until("all are delivered", () => states(inbox, "app")["delivered"] === 3);
    expect(inbox.rows("select actor, action, target, reason from hookonce_audit order by id")).toEqual([
      { actor: "ada", action: "pause", target: "app", reason: "maintenance" },
      { actor: "ada", action: "resume", target: "app", reason: null },
    ]);
    expect(inbox.outbox.pause("none", null, "ada")).rejects.toThrow('There is no destination "none"');
  });

  test("that fails ten times in a row is probed, and one success ends that", async () => {
    await using app = receiveMessages(BUSY);
    const { inbox, deliver } = await sending({ app: to(app, "concurrency = 8") });
    await using _ = inbox;
    await deliver(...count(1, 100));
    await until("it is probed", () => inbox.outbox.destinations()[0]?.isProbing === true);
    await until("the others have ended", () => inbox.outbox.destinations()[0]?.sending === 0);
    const before = app.received.length;
    expect(before).toBeWithin(10, 18);
    await until("two probes", () => app.received.length === before + 2);
    // The pauses are 1 and 2 s long. A timer is never early.
    const [first = 0, second = 0] = app.received.slice(-2).map(({ at }) => at);
    expect(second - first).toBeGreaterThan(1900);
    app.answer = () => new Response("ok");
    await inbox.outbox.resume("app", "ada");
    await until("most are delivered", () => (states(inbox, "app")["delivered"] ?? 0) >= 80);
    expect(inbox.outbox.destinations()[0]).toMatchObject({ isProbing: false });
    expect(logged(inbox, "it gets one message at a time")).toHaveLength(1);
    expect(logged(inbox, "the destination works again")).toHaveLength(1);
  }, 20_000);
});
