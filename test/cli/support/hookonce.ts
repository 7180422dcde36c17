import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** hookonce as it is while somebody works on it. */
export const fromSource = [process.execPath, join(import.meta.dir, "../../../src/main.ts")];

/**
 * The command that tests run, as a shell does: in its own process, with an almost empty environment. `bun run
 * test:all` runs the compiled binary, which is what users have, and which starts four times as fast: `check` takes
 * 0.8 s instead of 3.7 s on a busy machine with two cores.
 */
export const hookonce =
  process.env["HOOKONCE_TEST_BINARY"] === undefined ? fromSource : [process.env["HOOKONCE_TEST_BINARY"]];

export interface RunOptions {
  /** The command before the arguments. */
  program?: readonly string[];
  cwd?: string;
  environment?: Record<string, string>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function spawn(args: readonly string[], { program = hookonce, cwd, environment }: RunOptions) {
  return Bun.spawn([...program, ...args], {
    cwd: cwd ?? tmpdir(),
    // No PATH, and nothing else of the tests' own environment except HOME, where Bun caches transpiled files.
    env: { NO_COLOR: "1", HOME: process.env["HOME"] ?? tmpdir(), ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs a command to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = spawn(args, options);
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

export interface Started extends AsyncDisposable {
  readonly pid: number;
  /** The parsed lines it has logged so far. */
  readonly log: readonly Record<string, unknown>[];
  /** Resolves with the first line that has this message. Rejects if the process ends without one. */
  logged(message: string): Promise<Record<string, unknown>>;
  signal(...names: NodeJS.Signals[]): void;
  /** Resolves with the exit code and the complete output once the process has ended. */
  readonly ended: Promise<Ended>;
}

export interface Serving extends Started {
  readonly url: string;
  post(path: string, payload: unknown): Promise<{ status: number; body: Record<string, unknown> }>;
}

/**
 * `dev: false` leaves out --dev, without which no unsigned source is served. `inFolder: false` leaves out the
 * folder.
 */
type ServeOptions = RunOptions & { flags?: string[]; dev?: boolean; inFolder?: boolean };

/** Starts `hookonce serve` on a free loopback port. Disposing of it kills the process if it still runs. */
export function start(folder: string, options: ServeOptions = {}): Started {
  const flags = [...(options.dev === false ? [] : ["--dev"]), ...(options.flags ?? [])];
  const child = spawn(
    ["serve", ...(options.inFolder === false ? [] : [folder]), "--listen", "127.0.0.1:0", ...flags],
    options,
  );
  const log: Record<string, unknown>[] = [];
  const awaited = new Map<string, PromiseWithResolvers<Record<string, unknown>>>();
  const read = (async () => {
    let text = "";
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const piece = decoder.decode(chunk, { stream: true });
      text += piece;
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const parsed = JSON.parse(line) as Record<string, unknown>;
        log.push(parsed);
        awaited.get(String(parsed["msg"]))?.resolve(parsed);
      }
    }
    return text;
  })();
  const ended = (async (): Promise<Ended> => {
    const [code, stdout, stderr] = await Promise.all([child.exited, read, new Response(child.stderr).text()]);
    for (const [message, { reject }] of awaited)
      reject(new Error(`serve ended with ${code} before it logged "${message}": ${stdout}${stderr}`));
    return { code, stdout, stderr };
  })();
  return {
    pid: child.pid,
    log,
    ended,
    async logged(message) {
      const line = log.find(({ msg }) => msg === message);
      if (line !== undefined) return line;
      const waiting = awaited.get(message) ?? Promise.withResolvers();
      awaited.set(message, waiting);
      return waiting.promise;
    },
    signal: (...names) => names.forEach((name) => child.kill(name)),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Starts `hookonce serve` and waits until it listens. Throws if it ends before that. */
export async function serve(folder: string, options: ServeOptions = {}): Promise<Serving> {
  const started = start(folder, options);
  const url = String((await started.logged("listening"))["url"]);
  return {
    ...started,
    url,
    async post(path, payload) {
      const response = await fetch(`${url}${path}`, {
        method: "POST",
        body: JSON.stringify(payload),
        headers: { "content-type": "application/json" },
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
  };
}

export interface Scratch extends Disposable {
  readonly path: string;
  /** Path in the folder → text. */
  write(files: Record<string, string>): void;
}

/** A temporary folder. Disposing of it removes it. */
export function scratch(files: Record<string, string> = {}): Scratch {
  const path = temporaryFolder("cli");
  const write = (files: Record<string, string>): void => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), text);
    }
  };
  write(files);
  return { path, write, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The files of a small inbox folder that works. */
export const inboxFiles = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
  "migrations/0001_credits.sql":
    "create table credits (customer text primary key, cents integer not null) strict;\n",
  "handlers/default/_any.sql": `insert into credits values (:payload ->> '$.customer', :payload ->> '$.cents')
on conflict (customer) do update set cents = cents + excluded.cents;
`,
} as const;

/** What `check` prints on standard error about the unsigned source of a folder that is otherwise right. */
export const unsignedWarning =
  'warning: source "default" is unsigned: hookonce serve starts only with --dev, or with allow_public = true on this source\n';

export const paid = { event_id: "evt_1", type: "paid", customer: "ada", cents: 500 };
