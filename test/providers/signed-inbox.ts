import { afterAll, beforeAll } from "bun:test";
import type { Fetch } from "../../src/providers/context.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { fourProviders } from "./four-providers.ts";

/** The receiver's clock unless a test says otherwise: a whole second of 2026-09-21, in Unix milliseconds. */
export const NOW = 1_790_000_000_000;

/** The same in Unix seconds, as most providers sign it. */
export const AT = NOW / 1000;

export interface Answer {
  readonly status: number;
  /** The status in the body, such as `processed` or `duplicate`, or the error's code. */
  readonly said: string;
}

export const PROCESSED: Answer = { status: 200, said: "processed" };
export const DUPLICATE: Answer = { status: 200, said: "duplicate" };
export const MISMATCH: Answer = { status: 401, said: "signature_mismatch" };

/** How much is in the database. A delivery that is refused adds nothing. */
export interface Stored {
  readonly events: number;
  readonly deliveries: number;
  readonly failures: number;
  /** Rows that the handler wrote. */
  readonly effects: number;
}

export const NOTHING: Stored = { events: 0, deliveries: 0, failures: 0, effects: 0 };
export const ONE: Stored = { events: 1, deliveries: 1, failures: 0, effects: 1 };

const EFFECT = "insert into effects values (:source, :event_id, :type);";

export const effectsTable = {
  "migrations/0001.sql": "create table effects (source text, event_id text, type text) strict;",
};

/** An inbox with a handler for each source that records each event it runs for. */
export function recordingInbox(options: {
  config: string;
  sources: readonly string[];
  environment?: Record<string, string>;
  clock?: () => number;
  files?: Record<string, string>;
  fetch?: Fetch;
}): Promise<TestInbox> {
  return testInbox({
    config: options.config,
    environment: options.environment ?? {},
    clock: options.clock ?? (() => NOW),
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    files: {
      ...options.files,
      ...effectsTable,
      ...Object.fromEntries(options.sources.map((source) => [`handlers/${source}/_any.sql`, EFFECT])),
    },
  });
}

/** An inbox with a source for each of the four providers, each with both of its secrets. */
export function inboxOfFour(clock: () => number = () => NOW): Promise<TestInbox> {
  const environment: Record<string, string> = {};
  const config = fourProviders.map(({ name, secrets }) => {
    const variable = name.replaceAll("-", "_").toUpperCase();
    environment[`${variable}_NEW`] = secrets[0];
    environment[`${variable}_OLD`] = secrets[1];
    return `[sources.${name}]\nprovider = "${name}"\nsecret = ["env:${variable}_NEW", "env:${variable}_OLD"]\n`;
  });
  const sources = fourProviders.map(({ name }) => name);
  return recordingInbox({ config: config.join("\n"), sources, environment, clock });
}

/** Posts exactly these bytes and headers. There is no Content-Type unless it is given. */
export async function post(
  inbox: TestInbox,
  source: string,
  body: string | Uint8Array,
  headers: Bun.HeadersInit,
): Promise<Answer> {
  const response = await inbox.request(`/webhook/${source}`, { method: "POST", body, headers });
  const answer = (await response.json()) as { status?: string; error?: { code: string } };
  return { status: response.status, said: answer.status ?? answer.error?.code ?? "" };
}

export function storedIn(inbox: TestInbox): Stored {
  return inbox.rows(
    `select (select count(*) from hookonce_events) as events, (select count(*) from hookonce_bodies) as deliveries,
       (select count(*) from hookonce_failures) as failures, (select count(*) from effects) as effects`,
  )[0] as Stored;
}

export function addedSince(before: Stored, inbox: TestInbox): Stored {
  const after = storedIn(inbox);
  return {
    events: after.events - before.events,
    deliveries: after.deliveries - before.deliveries,
    failures: after.failures - before.failures,
    effects: after.effects - before.effects,
  };
}

/** The answer to a delivery, and what the delivery adds to the database. */
export async function deliveryTo(
  inbox: TestInbox,
  source: string,
  body: string | Uint8Array,
  headers: Bun.HeadersInit,
): Promise<{ answer: Answer; added: Stored }> {
  const before = storedIn(inbox);
  const answer = await post(inbox, source, body, headers);
  return { answer, added: addedSince(before, inbox) };
}

/** What `deliveryTo` returns: a processed delivery adds an event and its effect, any other adds nothing. */
export function outcomeOf(answer: Answer): { answer: Answer; added: Stored } {
  return { answer, added: answer === PROCESSED ? ONE : NOTHING };
}

/** One inbox for all tests of a file. */
export interface SharedInbox {
  readonly inbox: TestInbox;
  /** The receiver's clock, in Unix milliseconds. */
  now: number;
  /** An event id that no other test has. */
  newId(): string;
}

export function sharedInboxOfFour(): SharedInbox {
  let inbox: TestInbox;
  let ids = 0;
  beforeAll(async () => {
    inbox = await inboxOfFour(() => shared.now);
  });
  afterAll(() => inbox[Symbol.asyncDispose]());
  const shared: SharedInbox = {
    get inbox() {
      return inbox;
    },
    now: NOW,
    newId: () => `evt_row_${++ids}`,
  };
  return shared;
}
