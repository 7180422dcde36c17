import type { AdminClient } from "../http/admin/socket.ts";
import { HookonceError } from "../errors.ts";
import { answerOf } from "./answer.ts";

/** In milliseconds. A stream sends a heartbeat every 5 s, and a handler can keep the process busy for 30 s. */
const MAX_SILENCE_MS = 40_000;

/** A message of a stream of server-sent events, with one line of data. */
export interface StreamMessage {
  readonly event: string;
  readonly data: string;
  /** Empty if it has none. */
  readonly id: string;
}

/** Nothing has arrived for a while, although the connection was not closed. */
export class StreamSilent extends Error {
  constructor() {
    super(
      `hookonce serve has sent nothing for ${MAX_SILENCE_MS / 1000} s. The process is stopped (SIGSTOP) or busy.`,
    );
  }
}

type Query = NonNullable<Parameters<AdminClient["api"]["stream"]["$get"]>[0]>["query"];

/**
 * Follows the events of a `serve`. Ends when the connection does, or at the signal.
 *
 * @throws HookonceError what the API refused, or if it cannot be reached
 * @throws StreamSilent
 */
export async function* streamOf(
  client: AdminClient,
  query: Query,
  stop: AbortSignal,
): AsyncGenerator<StreamMessage> {
  const response = await client.api.stream.$get({ query }, { init: { signal: stop } });
  if (!response.ok) await answerOf(response);
  const reader = response.body?.getReader();
  const end = (): void => void reader?.cancel().catch(() => {});
  // Ends the read at once. Without a serve, nothing else would.
  stop.addEventListener("abort", end);
  try {
    yield* messagesIn(async () => {
      let isSilent = false;
      // Only while something is expected: the caller may take longer with a message.
      const silence = setTimeout(() => {
        isSilent = true;
        end();
      }, MAX_SILENCE_MS);
      const chunk = await reader?.read().catch((error: unknown) => {
        // The connection of a process that was killed is reset.
        if (error instanceof HookonceError) throw error;
      });
      clearTimeout(silence);
      if (isSilent && !stop.aborted) throw new StreamSilent();
      return chunk ?? undefined;
    });
  } finally {
    stop.removeEventListener("abort", end);
    end();
  }
}

type Chunk = { readonly done: boolean; readonly value?: Uint8Array | undefined } | undefined;

async function* messagesIn(read: () => Promise<Chunk>): AsyncGenerator<StreamMessage> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done = true, value } = (await read()) ?? {};
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const messages = rest.split("\n\n");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(message)?.[1] ?? "";
      const event = field("event");
      if (event !== "") yield { event, data: field("data"), id: field("id") };
    }
  }
}
