import { connect, type Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A client that does what `fetch` does not: half a request, a byte at a time, hanging up, talking on. */
export interface RawClient extends Disposable {
  /** Resolves once the system has taken the bytes; false when the connection is gone. */
  send(bytes: string | Uint8Array): Promise<boolean>;
  /** Says that nothing more comes, and goes on listening. */
  halfClose(): void;
  /** Gone, as if its process had died. */
  hangUp(): void;
  /** The first answer; null when the connection ends without one. */
  readonly answer: Promise<RawAnswer | null>;
  /** Whether there is one yet. */
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
  // A connection cut off by the server is a result, not an error.
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

/** The head of a delivery; what the caller says of its length and type goes with it. */
export function requestHead(path: string, headers: Record<string, string | number>): string {
  const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

/** One chunk of a chunked body; an empty one ends it. */
export function chunk(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from("\r\n")]);
}

/** @returns undefined while it is not all there */
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
