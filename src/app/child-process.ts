import { ownCommand } from "./trial-process.ts";

/** Runs a hidden command of this program in a child process, because user code cannot be interrupted. */

/** What every order has. The child reads it as JSON from standard input. */
export interface ChildOrder {
  /** Begins the line of the answer, because handlers may write to standard output as well. */
  readonly token: string;
  /** The process that waits for it, and how long, in milliseconds. */
  readonly parent: number;
  readonly leftMs: number;
}

export interface ChildOptions {
  readonly signal: AbortSignal;
  readonly maxMs: number;
  /** By default that of this process. */
  readonly environment?: Record<string, string> | undefined;
  /** Only tests change it. */
  readonly command?: readonly string[] | undefined;
}

/** @returns what the child found, or why it found nothing */
export async function askChild(
  name: string,
  order: object,
  { signal, maxMs, environment, command = ownCommand() }: ChildOptions,
): Promise<{ readonly found: unknown } | { readonly why: string }> {
  const token = crypto.randomUUID();
  const given = { ...order, token, parent: process.pid, leftMs: maxMs } satisfies ChildOrder;
  const child = Bun.spawn([...command, name], {
    // The signals of a terminal are for this process.
    detached: true,
    stdin: new Blob([JSON.stringify(given)]),
    stdout: "pipe",
    stderr: "pipe",
    ...(environment === undefined ? {} : { env: environment }),
  });
  const kill = (): void => child.kill("SIGKILL");
  const late = setTimeout(kill, maxMs);
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  try {
    const [said, complaint] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    const line = said.split("\n").find((one) => one.startsWith(token));
    if (line !== undefined) return { found: JSON.parse(line.slice(token.length)) as unknown };
    return { why: whyEnded(child, complaint, maxMs) };
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", kill);
  }
}

function whyEnded({ signalCode, exitCode }: Bun.Subprocess, complaint: string, maxMs: number): string {
  if (signalCode === "SIGKILL" || signalCode === "SIGALRM")
    return `the check did not end within ${Math.round(maxMs / 1000)} s: a handler's file may loop at its top level`;
  const how = signalCode ?? `exit code ${exitCode}`;
  return `the process that checks the folder ended (${how}): a handler's file may have ended it. ${complaint.trim().slice(-500)}`.trimEnd();
}
