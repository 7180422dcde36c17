import type { TrialPlace } from "../engines/store.ts";

/** The hidden command of the child that tries handlers. */
export const TRY = "try-handlers-and-roll-back";

/** How long the real database may be locked for one run, in milliseconds. */
const MAX_LOCK_MS = 15;

/** How long all runs may take, in milliseconds. */
export const MAX_TRIAL_MS = 30_000;

/** What each child is told, as JSON on standard input. */
export interface TrialOrder {
  readonly place: TrialPlace;
  /** Begins each of its lines, because handlers may write to standard output as well. */
  readonly token: string;
}

/** What a child says: one line of JSON each. `begin` and `end` enclose each run. */
export type TrialLine<Begun, Ended> =
  | { readonly is: "copy" }
  | { readonly is: "refused"; readonly why: string }
  | ({ readonly is: "begin" } & Begun)
  | { readonly is: "end"; readonly ran: Ended };

export type TrialEnd<Begun> =
  | { readonly is: "done" }
  /** The runs that are left need a copy of the database. */
  | { readonly is: "copy" }
  | { readonly is: "refused"; readonly why: string }
  /** It ended during this run; undefined if none had begun. */
  | { readonly is: "ended"; readonly running: Begun | undefined; readonly said: string };

/**
 * Runs handlers in a child process, because user code cannot be interrupted. The child is killed when a run
 * locks the real database for too long; SQLite then rolls back what it had not committed.
 *
 * @param until when all of it must be over, by `performance.now()`
 */
export async function runTrial<Begun extends object>(
  command: readonly string[],
  order: TrialOrder,
  until: number,
  onEnded: (ran: unknown) => void,
  signal?: AbortSignal,
): Promise<TrialEnd<Begun>> {
  const child = Bun.spawn([...command, TRY], {
    stdin: new Blob([JSON.stringify(order)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  let end: TrialEnd<Begun> | undefined;
  let running: Begun | undefined;
  let unlock: Timer | undefined;
  const stop = (): void => child.kill("SIGKILL");
  const timeout = setTimeout(stop, Math.max(0, until - performance.now()));
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  for await (const line of linesOf(child.stdout)) {
    if (!line.startsWith(order.token)) continue;
    const said = JSON.parse(line.slice(order.token.length)) as TrialLine<Begun, unknown>;
    clearTimeout(unlock);
    running = undefined;
    if (said.is === "begin") {
      running = said;
      if (order.place === "live") {
        unlock = setTimeout(() => {
          end = { is: "copy" };
          stop();
        }, MAX_LOCK_MS);
      }
    } else if (said.is === "end") onEnded(said.ran);
    else end = said;
  }
  const [code, said] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  clearTimeout(timeout);
  clearTimeout(unlock);
  signal?.removeEventListener("abort", stop);
  if (end !== undefined) return end;
  if (code === 0 && running === undefined) return { is: "done" };
  return { is: "ended", running, said: said.trim().slice(-500) };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}

/** The command that runs this program: the compiled binary, or Bun with main.ts. */
export function ownCommand(): string[] {
  const isCompiled = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(Bun.main);
  return isCompiled ? [process.execPath] : [process.execPath, Bun.main];
}
