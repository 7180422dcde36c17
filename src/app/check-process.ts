import type { Problem } from "../errors.ts";
import { ownCommand } from "./trial-process.ts";

/** The hidden command of the child that checks a folder before it is reloaded. */
export const CHECK = "check-before-reload";

/** How long the check may take, in milliseconds. */
const MAX_CHECK_MS = 30_000;

/** The input of the child, as JSON on standard input. */
export interface CheckOrder {
  readonly folder: string;
  /** Absolute. */
  readonly database: string;
  /** Whether unsigned sources are served. */
  readonly dev: boolean;
  /** See {@link CheckOptions.dropped}. */
  readonly dropped: readonly string[];
  /** Begins its line, because handlers may write to standard output as well. */
  readonly token: string;
  /** The process that waits for it, and how long, in milliseconds. */
  readonly parent: number;
  readonly leftMs: number;
}

/** What the child found. */
export interface CheckFound {
  /** Why a start would be refused. */
  readonly problems: readonly Problem[];
  /** Handlers and commands that fail at each run. They do not prevent a start. */
  readonly failing: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The user's migrations that a start would apply. */
  readonly pending: readonly string[];
}

export const NOTHING_FOUND: CheckFound = { problems: [], failing: [], warnings: [], pending: [] };

/**
 * Checks an inbox folder in a child process. A handler's file can then neither block nor end this process, and what
 * the check reads holds up no delivery.
 */
export async function checkInProcess(
  order: Pick<CheckOrder, "folder" | "database" | "dev" | "dropped">,
  signal: AbortSignal,
  command: readonly string[] = ownCommand(),
): Promise<CheckFound> {
  const token = crypto.randomUUID();
  const given: CheckOrder = { ...order, token, parent: process.pid, leftMs: MAX_CHECK_MS };
  const child = Bun.spawn([...command, CHECK], {
    // The signals of a terminal are for this process.
    detached: true,
    stdin: new Blob([JSON.stringify(given)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const kill = (): void => child.kill("SIGKILL");
  const late = setTimeout(kill, MAX_CHECK_MS);
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  try {
    const [said, complaint] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    const line = said.split("\n").find((one) => one.startsWith(token));
    if (line !== undefined) return JSON.parse(line.slice(token.length)) as CheckFound;
    return { ...NOTHING_FOUND, problems: [{ message: whyEnded(child, complaint) }] };
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", kill);
  }
}

function whyEnded({ signalCode, exitCode }: Bun.Subprocess, complaint: string): string {
  if (signalCode === "SIGKILL" || signalCode === "SIGALRM")
    return `the check did not end within ${MAX_CHECK_MS / 1000} s: a handler's file may loop at its top level`;
  const how = signalCode ?? `exit code ${exitCode}`;
  return `the process that checks the folder ended (${how}): a handler's file may have ended it. ${complaint.trim().slice(-500)}`.trimEnd();
}
