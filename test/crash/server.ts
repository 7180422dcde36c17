import { join } from "node:path";
import { z } from "zod";
import type { InboxFolder } from "./inbox-folder.ts";

const repository = join(import.meta.dir, "..", "..");
export const binary = join(repository, "dist", "hookonce");

/** Builds the compiled binary if it is missing. After a change to the source, build it yourself. */
export async function ensureBinary(): Promise<void> {
  if (await Bun.file(binary).exists()) return;
  await Bun.$`bun run build`.cwd(repository).quiet();
}

/** The command that starts `serve` for a folder: the binary, or a replacement for it. */
export type Command = (inbox: InboxFolder) => string[];

export const compiledServe: Command = ({ folder }) => [
  binary,
  "serve",
  folder,
  "--dev",
  "--listen",
  "127.0.0.1:0",
];

export interface Server {
  readonly pid: number;
  /** The URL once it listens. Rejects with the output if the process ends before. */
  readonly listening: Promise<string>;
  /** The exit code, or -1 if a signal ended it. */
  readonly exited: Promise<number>;
  /** The last 200 lines of standard output and standard error together. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Sends SIGKILL if it is still running. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts the compiled binary on a folder, and builds it first if it is missing. */
export async function serve(inbox: InboxFolder): Promise<Server> {
  await ensureBinary();
  return startServer(compiledServe(inbox));
}

export function startServer(command: string[], environment: Record<string, string> = {}): Server {
  const child = Bun.spawn(command, {
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: string[] = [];
  const listening = Promise.withResolvers<string>();
  listening.promise.catch(() => {}); // not every test awaits it
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > 200) lines.shift();
    const url = listeningUrl(line);
    if (url !== undefined) listening.resolve(url);
  };
  const read = Promise.all([eachLine(child.stdout, keep), eachLine(child.stderr, keep)]);
  const exited = child.exited.then(async () => {
    await read;
    const code = child.signalCode === null ? child.exitCode! : -1;
    listening.reject(
      new Error(`ended with ${child.signalCode ?? code} before it listened:\n${lines.join("\n")}`),
    );
    return code;
  });
  return {
    pid: child.pid,
    listening: listening.promise,
    exited,
    output: () => lines.join("\n"),
    signal: (name) => child.kill(name),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

const listeningEntry = z.object({ msg: z.literal("listening"), url: z.url() });

function listeningUrl(line: string): string | undefined {
  if (!line.startsWith("{") || !line.includes('"listening"')) return undefined;
  return listeningEntry.safeParse(JSON.parse(line)).data?.url;
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}
