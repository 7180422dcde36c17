import type { DatabaseLocation } from "../config/location.ts";
import type { Problem } from "../errors.ts";
import { askChild, type ChildOrder } from "./child-process.ts";

/** The hidden command of the child that checks a folder before it is reloaded. */
export const CHECK = "check-before-reload";

/** How long the check may take, in milliseconds. */
const MAX_CHECK_MS = 30_000;

export interface CheckOrder extends ChildOrder {
  readonly folder: string;
  readonly database: DatabaseLocation;
  /** Whether unsigned sources are served. */
  readonly dev: boolean;
  /** See {@link CheckOptions.dropped}. */
  readonly dropped: readonly string[];
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
  order: Omit<CheckOrder, keyof ChildOrder>,
  signal: AbortSignal,
  command?: readonly string[],
): Promise<CheckFound> {
  const answer = await askChild(CHECK, order, { signal, maxMs: MAX_CHECK_MS, command });
  return "found" in answer
    ? (answer.found as CheckFound)
    : { ...NOTHING_FOUND, problems: [{ message: answer.why }] };
}
