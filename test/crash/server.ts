import { join } from "node:path";
import { z } from "zod";
import type { InboxFolder } from "./inbox-folder.ts";

const repository = join(import.meta.dir, "..", "..");
export const binary = join(repository, "dist", "hookonce");

/** The compiled binary, built when it is missing only: whoever changed the source builds it. */
export async function ensureBinary(): Promise<void> {
  if (await Bun.file(binary).exists()) return;
  await Bun.$`bun run build`.cwd(repository).quiet();
}

/** How to start `serve` for a folder: the binary, or what stands in for it. */
export type Command = (inbox: InboxFolder) => string[];

export const compiledServe: Command = ({ folder }) => [binary, "serve", folder, "--listen", "127.0.0.1:0"];

export interface Server {
  readonly pid: number;
  /** The address once it listens; rejects when the process ends before, with what it printed. */
  readonly listening: Promise<string>;
  /** The exit code, or the number of the signal that ended it, negative. */
  readonly exited: Promise<number>;
  /** The last lines it printed, standard output and error together. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, when it still runs. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The compiled binary on a folder, built first when it is missing. */
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
  listening.promise.catch(() => {}); // not everybody waits for it
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
