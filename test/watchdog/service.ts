import { Database } from "bun:sqlite";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readLeft } from "../../src/engines/marker.ts";
import { startServer, type Server } from "../crash/server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** In milliseconds. A run may take 20 ticks here, so half a second. */
export const TICK_MS = 25;
export const LIMIT = 20;

export type Line = Record<string, unknown>;
export type Row = Record<string, unknown>;

export interface Answer {
  /** 0 if the process ended without an answer. */
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** An inbox folder with a process that serves it, and that the test starts again as systemd would. */
export interface Service extends AsyncDisposable {
  readonly folder: string;
  readonly database: string;
  readonly pid: number;
  readonly server: Server;
  /** What the running process has logged. */
  log(): Line[];
  /** Resolves with the first line that matches. Lines are written with a delay of up to 50 ms. */
  logged(matches: (line: Line) => boolean): Promise<Line>;
  /** Resolves once a handler runs. */
  running(): Promise<void>;
  /** Starts it. */
  start(): Promise<void>;
  /** Resolves with the exit code once the process has ended; -1 if a signal ended it. */
  ended(): Promise<number>;
  /** Waits until the process has ended by itself, then starts it again. */
  restarted(): Promise<void>;
  deliver(event: { event_id: string; type: string; [field: string]: unknown }): Promise<Answer>;
  get(path: string): Promise<number>;
  rows(sql: string): Row[];
  write(files: Record<string, string>): void;
  /** Permissions of a file beside the database, or undefined if it is not there. */
  modeOf(suffix: string): string | undefined;
}

const CONFIG = `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.batches]
provider = "unsigned"
handlers = "default"
batch    = "body:$.events[*]"
event_id = "body:$.event_id"
type     = "body:$.type"
`;

const watched = (folder: string): string[] => [
  process.execPath,
  join(import.meta.dir, "serve-watched.ts"),
  folder,
  String(TICK_MS),
  String(LIMIT),
];

/** @param command how to serve the folder: by default from source, with an impatient watchdog */
export async function service(files: Record<string, string>, command = watched): Promise<Service> {
  const folder = temporaryFolder("watchdog");
  const database = join(folder, "data/hookonce.db");
  let server: Server;
  let url = "";

  const write = (texts: Record<string, string>): void => {
    for (const [name, text] of Object.entries(texts)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  };
  const start = async (): Promise<void> => {
    server = startServer(command(folder));
    url = await server.listening;
  };
  const log = (): Line[] =>
    server
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Line);
  write({ "hookonce.toml": CONFIG, ...files });
  await start();
  return {
    folder,
    database,
    get pid() {
      return server.pid;
    },
    get server() {
      return server;
    },
    log,
    async logged(matches) {
      for (const deadline = performance.now() + 5000; performance.now() < deadline; await Bun.sleep(10)) {
        const line = log().find(matches);
        if (line !== undefined) return line;
      }
      throw new Error(`not logged: ${server.output()}`);
    },
    async running() {
      for (const deadline = performance.now() + 5000; performance.now() < deadline; await Bun.sleep(2))
        if (readLeft(database).run !== undefined) return;
      throw new Error("no handler runs");
    },
    start,
    ended: () => server.exited,
    async restarted() {
      await server.exited;
      await start();
    },
    async deliver(event) {
      const path = event["events"] === undefined ? "/webhook" : "/webhook/batches";
      try {
        const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(event) });
        return { status: response.status, body: (await response.json()) as Record<string, unknown> };
      } catch {
        return { status: 0, body: {} };
      }
    },
    get: async (path) => (await fetch(`${url}${path}`)).status,
    rows(sql) {
      using db = new Database(database, { strict: true });
      db.run("pragma busy_timeout = 5000");
      return db.prepare(sql).all() as Row[];
    },
    write,
    modeOf(suffix) {
      const mode = statSync(`${database}.${suffix}`, { throwIfNoEntry: false })?.mode;
      return mode === undefined ? undefined : (mode & 0o777).toString(8);
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
