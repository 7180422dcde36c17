import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import type { AttemptResult, OutgoingMessage } from "../../src/outbox/sender.ts";
import { createUrlSender, type UrlSenderOptions } from "../../src/outbox/url-sender.ts";

export interface Receiver extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or with https. */
  readonly url: string;
  readonly port: number;
  /** How many connections were opened. */
  readonly connections: number;
  /** How many are open. */
  readonly open: number;
  /** The heads of all requests. */
  readonly requests: readonly string[];
}

interface ReceiverOptions {
  readonly host?: string;
  readonly port?: number;
  readonly tls?: { readonly key: string; readonly cert: string };
}

/**
 * A receiver on a bare socket, which can break every rule of HTTP.
 *
 * @param answer is called once per request, when its head and body have arrived
 */
export async function receiver(
  answer: (socket: Socket, head: string) => void,
  { host = "127.0.0.1", port = 0, tls }: ReceiverOptions = {},
): Promise<Receiver> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let connections = 0;
  const accept = (socket: Socket): void => {
    let received = "";
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      for (let end = endOf(received); end !== undefined; end = endOf(received)) {
        const head = received.slice(0, received.indexOf("\r\n\r\n"));
        received = received.slice(end);
        requests.push(head);
        answer(socket, head);
      }
    });
  };
  const server: Server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  server.on("connection", (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => {});
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await promise;
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => void server.close(closed));
    },
  };
}

/** Where the first request ends; undefined if it is not whole. */
function endOf(received: string): number | undefined {
  const head = received.indexOf("\r\n\r\n");
  if (head === -1) return undefined;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.slice(0, head))?.[1] ?? 0);
  const end = head + 4 + length;
  return received.length >= end ? end : undefined;
}

/** An HTTP answer with a body. */
export function answerOf(status: string, body = "", ...headers: string[]): string {
  return [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`, "", body].join(
    "\r\n",
  );
}

export const message: OutgoingMessage = {
  id: "msg_1",
  attempt: 1,
  kind: "event",
  source: "shop",
  eventId: "evt_1",
  type: "paid",
  receivedAt: 0,
  headers: {},
  body: Buffer.from('{"id":"evt_1"}'),
  payloadJson: '{"id":"evt_1"}',
};

export const plain = ({ id, body }: OutgoingMessage, url: string): OutgoingRequest => ({
  method: "POST",
  url,
  headers: { "content-type": "application/json", "webhook-id": id },
  body,
});

/** The time of every test, as the sender sees it. */
export const NOW = Date.UTC(2026, 10, 28);

export const senderTo = (url: string, options: Partial<UrlSenderOptions> = {}) =>
  createUrlSender({ url, timeoutMs: 30_000, sign: plain, secrets: [], clock: () => NOW, ...options });

/** Makes one attempt with a new sender. */
export function sendTo(
  url: string,
  options: Partial<UrlSenderOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<AttemptResult> {
  return senderTo(url, options).send(message, signal);
}

/** Waits until a condition holds. The test's own limit ends a wait without end. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(5);
}
