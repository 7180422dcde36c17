import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { officialLibraries } from "./official.ts";

/** 2026-09-21, on the second: the receiver's clock unless a test says otherwise. In milliseconds. */
export const NOW = 1_790_000_000_000;

export interface Answer {
  readonly status: number;
  /** `processed`, `duplicate`, … or the error's code. */
  readonly said: string;
}

/** What is in the database: none of it may come from a delivery that was refused. */
export interface Stored {
  readonly events: number;
  readonly deliveries: number;
  readonly failures: number;
  /** Rows that the handler wrote. */
  readonly effects: number;
}

export const NOTHING: Stored = { events: 0, deliveries: 0, failures: 0, effects: 0 };

const EFFECT = "insert into effects values (:source, :event_id, :type);";

export const effectsTable = {
  "migrations/0001.sql": "create table effects (source text, event_id text, type text) strict;",
};

/** An inbox with a handler for each source that notes what it was called for. */
export function recordingInbox(options: {
  config: string;
  sources: readonly string[];
  environment?: Record<string, string>;
  clock?: () => number;
}): Promise<TestInbox> {
  return testInbox({
    config: options.config,
    environment: options.environment ?? {},
    clock: options.clock ?? (() => NOW),
    files: {
      ...effectsTable,
      ...Object.fromEntries(options.sources.map((source) => [`handlers/${source}/_any.sql`, EFFECT])),
    },
  });
}

/** A source for each official library, each with both of its secrets. */
export function officialInbox(clock: () => number = () => NOW): Promise<TestInbox> {
  const environment: Record<string, string> = {};
  const config = officialLibraries.map(({ provider, secrets }) => {
    const name = provider.replaceAll("-", "_").toUpperCase();
    environment[`${name}_NEW`] = secrets[0];
    environment[`${name}_OLD`] = secrets[1];
    return `[sources.${provider}]\nprovider = "${provider}"\nsecret = ["env:${name}_NEW", "env:${name}_OLD"]\n`;
  });
  const sources = officialLibraries.map(({ provider }) => provider);
  return recordingInbox({ config: config.join("\n"), sources, environment, clock });
}

/** POST with exactly these bytes and headers; no Content-Type unless it is given. */
export async function post(
  inbox: TestInbox,
  source: string,
  body: string | Uint8Array,
  headers: HeadersInit,
): Promise<Answer> {
  const response = await inbox.request(`/webhook/${source}`, { method: "POST", body, headers });
  const answer = (await response.json()) as { status?: string; error?: { code: string } };
  return { status: response.status, said: answer.status ?? answer.error?.code ?? "" };
}

export function storedIn(inbox: TestInbox): Stored {
  return inbox.rows(
    `select (select count(*) from hookonce_events) as events, (select count(*) from hookonce_deliveries) as deliveries,
       (select count(*) from hookonce_failures) as failures, (select count(*) from effects) as effects`,
  )[0] as Stored;
}
