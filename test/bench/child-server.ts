import { openSync, closeSync } from "node:fs";

export interface ChildServer extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  /** Milliseconds from the start of the process to its first 200. */
  readonly startMs: number;
  /** Sends SIGTERM, then SIGKILL after 15 s. Resolves when the process has ended. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 15_000;

/**
 * Starts a server as a separate process and waits for its first 200 from /healthz. Its output goes to a file,
 * as the log of a service does.
 *
 * @param command makes the command line from a free loopback port
 */
export async function startServer(
  command: (port: number) => string[],
  logPath: string,
): Promise<ChildServer> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = openSync(logPath, "w");
  const startedAt = performance.now();
  const child = Bun.spawn(command(port), { stdin: "ignore", stdout: log, stderr: log });
  closeSync(log);
  const kill = (): void => child.kill("SIGKILL");
  process.on("exit", kill);
  while (!(await answers(`${url}/healthz`))) {
    if (child.exitCode !== null || performance.now() - startedAt > START_TIMEOUT_MS) {
      kill();
      throw new Error(
        `The server did not start:\n${command(port).join(" ")}\n${await Bun.file(logPath).text()}`,
      );
    }
    await Bun.sleep(1);
  }
  const startMs = performance.now() - startedAt;
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(kill, STOP_TIMEOUT_MS);
    await child.exited;
    clearTimeout(timer);
    process.off("exit", kill);
  };
  return { pid: child.pid, url, startMs, stop, [Symbol.asyncDispose]: stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    // A connection that is kept alive would delay the stop.
    const response = await fetch(url, { headers: { connection: "close" } });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

function freePort(): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  void server.stop(true);
  return port as number;
}
