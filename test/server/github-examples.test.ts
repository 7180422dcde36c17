import examples from "@octokit/webhooks-examples";
import { sign } from "@octokit/webhooks-methods";
import { describe, expect, test } from "bun:test";
import { testInbox } from "../support/test-inbox.ts";
import { secrets, signedSources } from "./support/signed.ts";

interface Example {
  guid: string;
  /** The event id that hookonce must read. */
  id: string;
  event: string;
  /** The type that hookonce must read. */
  type: string;
  body: string;
}

/** All example payloads that GitHub publishes. */
const all: Example[] = examples.flatMap(({ name, examples }) =>
  examples.map((payload, n) => {
    const action: unknown = (payload as { action?: unknown }).action;
    return {
      guid: `${name}-${n}`,
      id: `${name}-${n}:${name}`,
      event: name,
      type: typeof action === "string" ? `${name}.${action}` : name,
      body: JSON.stringify(payload),
    };
  }),
);

async function deliver(url: string, { guid, event, body }: Example): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/webhook/github`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/044aadd",
      "x-github-delivery": guid,
      "x-github-event": event,
      "x-github-hook-id": "292430182",
      "x-hub-signature-256": await sign(secrets.GITHUB_WEBHOOK_SECRET, body),
    },
  });
  return { http: response.status, ...((await response.json()) as object) };
}

async function deliverAll(url: string): Promise<Record<string, unknown>[]> {
  const answers: Record<string, unknown>[] = [];
  for (let n = 0; n < all.length; n += 32)
    answers.push(...(await Promise.all(all.slice(n, n + 32).map((example) => deliver(url, example)))));
  return answers;
}

const answersOf = (status: (example: Example) => string): unknown =>
  all.map((example) => ({
    http: 200,
    status: status(example),
    event_id: example.id,
    message: expect.any(String),
  }));

const migration = "create table seen (event_id text not null, type text, sender text, handler text) strict;";
const note = (handler: string): string =>
  `insert into seen values (:event_id, :type, :payload ->> '$.sender.login', '${handler}');`;

describe(`GitHub's own ${all.length} example payloads`, () => {
  test("cover many event types", () => {
    expect(all.length).toBeGreaterThan(300);
    expect(new Set(all.map(({ event }) => event)).size).toBeGreaterThan(50);
  });

  test("are processed, and are duplicates when they arrive again", async () => {
    await using inbox = await testInbox({
      config: signedSources,
      environment: secrets,
      files: { "migrations/0001.sql": migration, "handlers/github/_any.sql": note("_any") },
    });
    const { url } = inbox.listen();
    expect(await deliverAll(url)).toEqual(answersOf(() => "processed") as Record<string, unknown>[]);
    expect(await deliverAll(url)).toEqual(answersOf(() => "duplicate") as Record<string, unknown>[]);

    expect(inbox.rows("select event_id, type from seen order by rowid").sort(byId)).toEqual(
      all.map(({ id, type }) => ({ event_id: id, type })).sort(byId),
    );
    expect(inbox.rows("select event_id, type from hookonce_events").sort(byId)).toEqual(
      all.map(({ id, type }) => ({ event_id: id, type })).sort(byId),
    );
    // SQLite and JavaScript read the same value from the payload.
    const senders = new Map(
      all.map(({ id, body }) => [id, (JSON.parse(body) as { sender?: { login?: string } }).sender?.login]),
    );
    for (const { event_id: id, sender } of inbox.rows("select event_id, sender from seen"))
      expect(sender).toBe(senders.get(id as string) ?? null);
    expect(inbox.rows("select distinct deliveries, changed_bodies from hookonce_events")).toEqual([
      { deliveries: 2, changed_bodies: 0 },
    ]);
    const bodies = inbox.rows(
      "select event_id, bytes as body from hookonce_events e join hookonce_results r on r.event = e.id join hookonce_bodies b on b.id = r.body",
    );
    const stored = new Map(bodies.map(({ event_id: id, body }) => [id, Buffer.from(body).toString()]));
    expect(stored).toEqual(new Map(all.map(({ id, body }) => [id, body])));
  }, 20_000);

  test("are applied by the most specific handler, and are unhandled if there is none", async () => {
    const handlers = ["issues", "issues.opened", "pull_request.closed", "push"];
    await using inbox = await testInbox({
      config: signedSources,
      environment: secrets,
      files: {
        "migrations/0001.sql": migration,
        ...Object.fromEntries(handlers.map((name) => [`handlers/github/${name}.sql`, note(name)])),
      },
    });
    const handlerOf = ({ type, event }: Example): string | undefined =>
      handlers.includes(type) ? type : handlers.find((name) => name === event);
    const { url } = inbox.listen();
    expect(await deliverAll(url)).toEqual(
      answersOf((example) => (handlerOf(example) === undefined ? "unhandled" : "processed")) as Record<
        string,
        unknown
      >[],
    );
    // A repeated delivery of an owed event is still answered unhandled.
    expect(await deliverAll(url)).toEqual(
      answersOf((example) => (handlerOf(example) === undefined ? "unhandled" : "duplicate")) as Record<
        string,
        unknown
      >[],
    );
    const handled = all.filter((example) => handlerOf(example) !== undefined);
    expect(new Set(handled.map(handlerOf)).size).toBe(handlers.length);
    expect(inbox.rows("select event_id, handler from seen").sort(byId)).toEqual(
      handled.map((example) => ({ event_id: example.id, handler: handlerOf(example) })).sort(byId),
    );
    expect(inbox.value("select count(*) from hookonce_events where outcome = 'unhandled'")).toBe(
      all.length - handled.length,
    );
  }, 20_000);
});

function byId(a: { event_id: string }, b: { event_id: string }): number {
  return a.event_id < b.event_id ? -1 : 1;
}
