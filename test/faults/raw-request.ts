import { signatureHeader, type SignedEvent } from "../crash/stripe-events.ts";

export interface SlowDelivery {
  /** Sends the rest of the body. */
  finish(): void;
  /** The answer's status line, or undefined if the connection ended without one. */
  readonly statusLine: Promise<string | undefined>;
}

/** Sends a delivery except for the last 10 bytes of its body. */
export async function deliverSlowly(url: string, event: SignedEvent): Promise<SlowDelivery> {
  const { hostname, port } = new URL(url);
  const answer = Promise.withResolvers<string | undefined>();
  let received = "";
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, chunk) {
        received += chunk.toString();
        if (received.includes("\r\n")) answer.resolve(received.slice(0, received.indexOf("\r\n")));
      },
      close: () => answer.resolve(undefined),
      error: () => answer.resolve(undefined),
    },
  });
  const bytes = Buffer.from(event.body);
  const head = [
    "POST /webhook/stripe HTTP/1.1",
    `host: ${hostname}:${port}`,
    "content-type: application/json",
    `content-length: ${bytes.length}`,
    `stripe-signature: ${signatureHeader(event.body)}`,
    "",
    "",
  ].join("\r\n");
  socket.write(head);
  socket.write(bytes.subarray(0, -10));
  socket.flush();
  return { finish: () => void socket.write(bytes.subarray(-10)), statusLine: answer.promise };
}
