/** A receiver of messages, and what it has received. */

export interface ReceivedMessage {
  readonly id: string;
  readonly eventId: string;
  readonly attempt: number;
  readonly body: string;
  /** On the monotonic clock, in milliseconds. */
  readonly at: number;
}

export interface MessageReceiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly ReceivedMessage[];
  /** The most requests that it had at one time. */
  readonly most: number;
  /** Replaces how it answers. */
  answer: (message: ReceivedMessage) => Response | Promise<Response>;
}

const ok = (): Response => new Response("ok");

export function receiveMessages(answer: MessageReceiver["answer"] = ok): MessageReceiver {
  const received: ReceivedMessage[] = [];
  let open = 0;
  let most = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      most = Math.max(most, ++open);
      const { headers } = request;
      const message = {
        id: headers.get("hookonce-message-id") ?? "",
        eventId: headers.get("hookonce-event-id") ?? "",
        attempt: Number(headers.get("hookonce-attempt")),
        body: await request.text(),
        at: performance.now(),
      };
      received.push(message);
      try {
        return await self.answer(message);
      } finally {
        open--;
      }
    },
  });
  const self: MessageReceiver = {
    url: `http://127.0.0.1:${server.port}`,
    received,
    get most() {
      return most;
    },
    answer,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return self;
}

/** Waits for a condition, for at most 30 s. */
export async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`it did not happen within 30 s: ${what}`);
    await Bun.sleep(5);
  }
}
