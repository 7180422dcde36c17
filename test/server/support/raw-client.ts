import { connect, type Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * A client that can send half a request, send single bytes, disconnect early, and go on sending after an
 * answer.
 */
export interface RawClient extends Disposable {
  /** Resolves once the system has accepted the bytes, with false if the connection is closed. */
  send(bytes: string | Uint8Array): Promise<boolean>;
  /** Closes the sending direction and continues to receive. */
  halfClose(): void;
  /** Closes the connection at once, as if the process had died. */
  hangUp(): void;
  /** The first answer, or null if the connection ends without one. */
  readonly answer: Promise<RawAnswer | null>;
  /** Whether an answer has arrived. */
  readonly answered: boolean;
  readonly closed: Promise<void>;
}

export async function rawClient(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const connected = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<RawAnswer | null>();
  const closed = Promise.withResolvers<void>();
  const socket: Socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () =>
    connected.resolve(),
  );
  let received = Buffer.alloc(0);
  let answered = false;
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const whole = readAnswer(received);
    if (whole === undefined) return;
    answered = true;
    answer.resolve(whole);
  });
  // A connection closed by the server is a result, not an error.
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    connected.resolve();
    answer.resolve(null);
    closed.resolve();
  });
  await connected.promise;
  const hangUp = (): void => void socket.destroy();
  return {
    send: (bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve(false);
        else socket.write(bytes, (error) => resolve(error === undefined || error === null));
      }),
    halfClose: () => void socket.end(),
    hangUp,
    answer: answer.promise,
    get answered() {
      return answered;
    },
    closed: closed.promise,
    [Symbol.dispose]: hangUp,
  };
}

/**
 * Returns the request line and headers of a delivery. The caller supplies Content-Length or
 * Transfer-Encoding.
 */
export function requestHead(path: string, headers: Record<string, string | number>): string {
  const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

/** Returns one chunk of a chunked body. An empty chunk ends the body. */
export function chunk(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from("\r\n")]);
}

/** Parses an answer. Returns undefined while it is incomplete. */
function readAnswer(received: Buffer): RawAnswer | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
  const body = received.subarray(end + 4);
  const length = Number(headers["content-length"] ?? 0);
  if (body.length < length) return undefined;
  return { status: Number(statusLine.split(" ")[1]), headers, body: body.subarray(0, length).toString() };
}
