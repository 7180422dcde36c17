import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import type { TrialPlace } from "../app/trial.ts";
import type { Tried, TryLine, TryOrder } from "./try-child.ts";
import { TRY } from "./try-command.ts";

export interface TryOptions {
  readonly folder: string;
  /** Absolute. */
  readonly database: string;
  /** Where to begin. If that is not possible in the real database, a copy is used. */
  readonly place: TrialPlace;
  /**
   * Only tests change these: the command of this program, and how long all of it may take, in milliseconds.
   */
  readonly command?: readonly string[];
  readonly maxMs?: number;
}

export interface TriedAll {
  readonly tried: readonly Tried[];
  /** Why the other handlers were not tried. */
  readonly why: string | undefined;
}

/** How long the real database may be locked for one handler, in milliseconds. */
const MAX_LOCK_MS = 15;

/** How long all of it may take, in milliseconds. */
const MAX_MS = 30_000;

/**
 * Runs every handler on a made-up event and rolls back. Changes nothing, and ends within 30 s, whatever a
 * handler does.
 */
export async function tryHandlers(options: TryOptions): Promise<TriedAll> {
  const { folder, database, place: first, command = ownCommand(), maxMs = MAX_MS } = options;
  const tried: Tried[] = [];
  const until = performance.now() + maxMs;
  let temporary: string | undefined;
  let place = first;
  try {
    for (;;) {
      // Only its owner can read it. A copy is removed even if the child is killed.
      temporary ??= mkdtempSync(join(tmpdir(), "hookonce-check-"));
      const order: TryOrder = {
        folder,
        database,
        place,
        copy: join(temporary, `${crypto.randomUUID()}.db`),
        token: crypto.randomUUID(),
        done: tried.map(({ file }) => file),
      };
      const child = await runChild(command, order, until, (one) => tried.push(one));
      if (child.is === "done") return { tried, why: undefined };
      if (child.is === "refused") return { tried, why: child.why };
      if (child.is === "copy") {
        place = "copy";
        continue;
      }
      const { file, type, said } = child;
      const message =
        performance.now() < until ? "it ended the process" : `it did not return within ${maxMs / 1000} s`;
      if (file !== undefined) tried.push({ file, type, failure: { message, at: undefined } });
      if (performance.now() >= until) return { tried, why: `the time for it, ${maxMs / 1000} s, is over` };
      if (file === undefined) return { tried, why: `the process that tries them ended: ${said}` };
    }
  } catch (error) {
    return { tried, why: messageOf(error) };
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}

type ChildEnd =
  | { readonly is: "done" }
  | { readonly is: "copy" }
  | { readonly is: "refused"; readonly why: string }
  /** It ended while this handler ran; undefined if none did. */
  | { readonly is: "ended"; readonly file: string | undefined; readonly type: string; readonly said: string };

async function runChild(
  command: readonly string[],
  order: TryOrder,
  until: number,
  onTried: (tried: Tried) => void,
): Promise<ChildEnd> {
  const child = Bun.spawn([...command, TRY], {
    stdin: new Blob([JSON.stringify(order)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  let end: ChildEnd | undefined;
  let running: { readonly file: string; readonly type: string } | undefined;
  let unlock: Timer | undefined;
  const stop = (): void => child.kill("SIGKILL");
  const timeout = setTimeout(stop, Math.max(0, until - performance.now()));
  for await (const line of linesOf(child.stdout)) {
    if (!line.startsWith(order.token)) continue;
    const said = JSON.parse(line.slice(order.token.length)) as TryLine;
    clearTimeout(unlock);
    running = undefined;
    if (said.is === "begin") {
      running = said;
      if (order.place === "live") {
        // SQLite rolls back what a killed process had not committed.
        unlock = setTimeout(() => {
          end = { is: "copy" };
          stop();
        }, MAX_LOCK_MS);
      }
    } else if (said.is === "end") {
      const { is: _is, ...one } = said;
      onTried(one);
    } else {
      end = said;
    }
  }
  const [code, said] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  clearTimeout(timeout);
  clearTimeout(unlock);
  if (end !== undefined) return end;
  if (code === 0 && running === undefined) return { is: "done" };
  return { is: "ended", file: running?.file, type: running?.type ?? "", said: said.trim().slice(-500) };
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
function ownCommand(): string[] {
  const isCompiled = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(Bun.main);
  return isCompiled ? [process.execPath] : [process.execPath, Bun.main];
}
