/** A way to a server that takes as long as a network does. */
export interface SlowNetwork extends Disposable {
  readonly port: number;
}

/** @param oneWayMs how long each byte takes in each direction, in milliseconds */
export function slowNetwork(to: number, oneWayMs: number): SlowNetwork {
  interface Side {
    other: Promise<Bun.Socket<Side>>;
    unsent: Uint8Array[];
  }
  const pass = (socket: Bun.Socket<Side>): void => {
    for (let chunk = socket.data.unsent[0]; chunk !== undefined; chunk = socket.data.unsent[0]) {
      const written = socket.write(chunk);
      if (written < chunk.length) {
        socket.data.unsent[0] = chunk.subarray(Math.max(0, written));
        return;
      }
      socket.data.unsent.shift();
    }
  };
  const handlers = {
    data(socket: Bun.Socket<Side>, chunk: Uint8Array) {
      const copy = new Uint8Array(chunk);
      const forward = (other: Bun.Socket<Side>): void => {
        other.data.unsent.push(copy);
        if (other.data.unsent.length === 1) pass(other);
      };
      setTimeout(() => void socket.data.other.then(forward), oneWayMs);
    },
    drain: pass,
    close: (socket: Bun.Socket<Side>) => void socket.data.other.then((other) => other.end()),
    error() {},
  };
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...handlers,
      open(socket) {
        const self = Promise.resolve(socket);
        socket.data = {
          unsent: [],
          other: Bun.connect<Side>({
            hostname: "127.0.0.1",
            port: to,
            socket: handlers,
            data: { unsent: [], other: self },
          }),
        };
      },
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
