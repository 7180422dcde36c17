import { HookonceError, messageOf } from "../errors.ts";
import type { AdminInbox, NodeReloaded, ReloadRequest } from "../http/admin/inbox.ts";
import { isSilent } from "../inbox/node-differences.ts";
import type { Inbox } from "./open-inbox.ts";

/** How often to look what the others have answered, and how long at most, in milliseconds. */
const LOOK_MS = 200;
const LONGEST_MS = 60_000;

/** What one node writes for the others to read, each within a second. */
interface Asked extends Pick<ReloadRequest, "actor" | "dropped"> {
  /** Tells it from every other one. */
  readonly id: string;
}

interface Answered {
  /** Why it was refused. */
  readonly problem: string | null;
}

/** Asks all other nodes to load their folders again, and waits for their answers. */
export async function reloadOthers(
  { engine, queue }: Pick<Inbox, "engine" | "queue">,
  { actor, dropped }: ReloadRequest,
): Promise<readonly NodeReloaded[]> {
  const request = JSON.stringify({ id: crypto.randomUUID(), actor, dropped } satisfies Asked);
  await queue.write({ kind: "record", entries: [{ entry: "ask nodes", request }] });
  const reader = await engine.reader();
  const until = performance.now() + LONGEST_MS;
  for (;;) {
    const asked = (await reader.nodes()).filter((node) => node.asked === request);
    const isWaiting = asked.some((node) => node.answered === null && !isSilent(node));
    if (!isWaiting || performance.now() >= until)
      return asked.map(({ name, answered }) => ({ name, problem: problemIn(answered) }));
    await Bun.sleep(LOOK_MS);
  }
}

function problemIn(answered: string | null): string | null {
  return answered === null ? "it has not answered" : (JSON.parse(answered) as Answered).problem;
}

/** The answer of a node that is starting: it loads its folder anyway. */
export const LOADED_NOW = Promise.resolve(JSON.stringify({ problem: null } satisfies Answered));

/** Does what another node has asked for. */
export async function answerAsked(reload: AdminInbox["reload"], request: string): Promise<string> {
  const { actor, dropped } = JSON.parse(request) as Asked;
  const problem = await reload({ actor, dropped }).then(() => null, inWords);
  return JSON.stringify({ problem } satisfies Answered);
}

function inWords(error: unknown): string {
  const problems = error instanceof HookonceError ? error.problems : [];
  if (problems.length === 0) return messageOf(error);
  return problems
    .map(({ file, line, message }) => `${file ?? ""}${line ? `:${line}` : ""} ${message}`.trim())
    .join("; ");
}
