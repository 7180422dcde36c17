import { resolve } from "node:path";
import { connectAdmin } from "../app/apply.ts";
import { locationOfFlag, nameOf } from "../config/location.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { HookonceError, messageOf, type ErrorCode } from "../errors.ts";
import type { Headers } from "../event.ts";
import { createRemoteClient, remoteProblem } from "../http/admin/remote.ts";
import type { EventDetail, EventJson } from "../http/admin/shapes.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import { answerOf } from "./answer.ts";
import { streamOf, StreamSilent } from "./stream.ts";
import { UsageError } from "./usage-error.ts";

/** The `serve` whose events are brought. */
export interface From {
  /** For people. */
  readonly words: string;
  /** The same for the same inbox, without a secret. */
  readonly key: string;
  /** @throws HookonceError `not_serving`, `serve_unreachable` */
  readonly connect: () => Promise<AdminClient>;
}

/** @throws UsageError, HookonceError `config_invalid` */
export function fromUrl(url: string, folder: string): From {
  const problem = remoteProblem(url);
  if (problem !== undefined) throw new UsageError(`--from: ${problem}`);
  const found = createSecretLookup(resolve(folder), process.env)("env:HOOKONCE_TOKEN");
  if ("problem" in found)
    throw new HookonceError(
      "config_invalid",
      `HOOKONCE_TOKEN is not set. Make a token there with hookonce token create --name NAME, and put HOOKONCE_TOKEN=… into the environment, or into .env of this inbox folder.`,
    );
  const client = createRemoteClient(url, found.secret);
  const { origin, pathname } = new URL(url);
  const key = origin + pathname.replace(/\/$/, "");
  return { words: key, key, connect: () => Promise.resolve(client) };
}

export function fromFolder(folder: string, database: string | undefined): From {
  const location = locationOfFlag(folder, database);
  return {
    words: "this inbox",
    key: location === undefined ? "this inbox" : nameOf(location),
    async connect() {
      const admin = await connectAdmin({ folder, database });
      if (admin !== undefined) return admin.client;
      throw new HookonceError("not_serving", `hookonce serve is not running in ${resolve(folder)}`);
    },
  };
}

/** An event as it was delivered. */
export interface Content {
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** The next step of the stream. */
export interface Step {
  /** What to go on with, once the event has been brought. */
  readonly cursor: string;
  /** Null if the filter has left out what was before the cursor. */
  readonly event: EventJson | null;
  /** Null if the event is not stored. */
  readonly content: Content | null;
}

/** How many events are fetched ahead of the one that is being delivered. */
const AHEAD = 8;

/**
 * Reads the events in the order received, with their content. Ends when the connection does.
 *
 * @throws HookonceError, StreamSilent (see {@link isPassing})
 */
export async function* stepsOf(
  client: AdminClient,
  query: Parameters<typeof streamOf>[1],
  stop: AbortSignal,
): AsyncGenerator<Step> {
  const end = new AbortController();
  const messages = streamOf(client, query, AbortSignal.any([stop, end.signal]));
  const queue: Promise<Step>[] = [];
  let isEnded = false;
  let changed = Promise.withResolvers<void>();
  const change = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const add = (step: Promise<Step>): void => {
    // It may be rejected before it is read.
    step.catch(() => {});
    queue.push(step);
    change();
  };
  void (async () => {
    try {
      for await (const { event, data, id } of messages) {
        while (queue.length >= AHEAD && !end.signal.aborted) await changed.promise;
        if (event === "event") add(stepOf(client, JSON.parse(data) as EventJson, id));
        else if (id !== "") add(Promise.resolve({ cursor: id, event: null, content: null }));
      }
    } catch (error) {
      add(Promise.reject(error));
    }
    isEnded = true;
    change();
  })();
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener("abort", () => resolve(undefined));
  });
  try {
    while (!stop.aborted) {
      const next = queue[0];
      if (next !== undefined) {
        const step = await Promise.race([next, stopped]);
        if (step === undefined) return;
        void queue.shift();
        change();
        yield step;
      } else if (isEnded) return;
      else await Promise.race([changed.promise, stopped]);
    }
  } finally {
    end.abort();
    change();
  }
}

async function stepOf(client: AdminClient, event: EventJson, cursor: string): Promise<Step> {
  const query = { source: event.source, event_id: event.event_id };
  try {
    const { headers, bytes } = await answerOf<EventDetail>(await client.api.event.$get({ query }));
    if (bytes === null) return { cursor, event, content: null };
    const response = await client.api.event.raw.$get({ query: { ...query, which: "first" } });
    if (!response.ok) await answerOf(response);
    return { cursor, event, content: { headers, body: new Uint8Array(await response.arrayBuffer()) } };
  } catch (error) {
    if (!(error instanceof HookonceError))
      throw new HookonceError("serve_unreachable", `the connection was lost: ${messageOf(error)}`);
    // It was erased meanwhile.
    if (ERASED.has(error.code)) return { cursor, event, content: null };
    throw error;
  }
}

const ERASED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unknown_event",
  "event_not_stored",
  "payload_removed",
]);

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "not_serving",
  "serve_unreachable",
  "shutting_down",
  "starting",
  "overloaded",
  "database_locked",
  "disk_full",
  "out_of_memory",
  "storage_failed",
  "too_many_files",
  "too_many_attempts",
  "internal",
]);

/** Whether a later try may do better, as when a `serve` is restarted. */
export function isPassing(error: unknown): error is Error {
  return error instanceof StreamSilent || (error instanceof HookonceError && PASSING.has(error.code));
}
