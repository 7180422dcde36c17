import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import type { TrialPlace } from "../app/trial.ts";
import { MAX_TRIAL_MS, ownCommand, runTrial } from "../app/trial-process.ts";
import type { Tried, TryOrder, Trying } from "./try-child.ts";

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

/**
 * Runs every handler on a made-up event and rolls back. Changes nothing, and ends within 30 s, whatever a
 * handler does.
 */
export async function tryHandlers(options: TryOptions): Promise<TriedAll> {
  const { folder, database, place: first, command = ownCommand(), maxMs = MAX_TRIAL_MS } = options;
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
      const child = await runTrial<Trying>(command, order, until, (ran) => tried.push(ran as Tried));
      if (child.is === "done") return { tried, why: undefined };
      if (child.is === "refused") return { tried, why: child.why };
      if (child.is === "copy") {
        place = "copy";
        continue;
      }
      const { running, said } = child;
      const message =
        performance.now() < until ? "it ended the process" : `it did not return within ${maxMs / 1000} s`;
      if (running !== undefined) {
        const { file, type } = running;
        tried.push({ file, type, failure: { message, at: undefined } });
      }
      if (performance.now() >= until) return { tried, why: `the time for it, ${maxMs / 1000} s, is over` };
      if (running === undefined) return { tried, why: `the process that tries them ended: ${said}` };
    }
  } catch (error) {
    return { tried, why: messageOf(error) };
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}
