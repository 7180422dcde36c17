import {
  hashed,
  type ForgettableEvent,
  type ForgetStep,
  type Forgotten,
  type SharedBody,
  type TextPlace,
} from "../engines/forget.ts";
import { HookonceError } from "../errors.ts";
import type { Headers } from "../event.ts";
import type { JobInbox } from "./event-jobs.ts";
import type { ForgetPosition, ForgetRequest } from "./forget-request.ts";
import type { JobGroup, ProgressLog } from "./job-progress.ts";
import type { TextMatch } from "./text-match.ts";

export interface ForgetRun {
  readonly id: string;
  readonly progress: ProgressLog;
  readonly from: ForgetPosition;
  readonly onPosition: (position: ForgetPosition) => void;
  /** Called before a change. */
  readonly onRuns: () => Promise<void>;
  /** Records the job as it is now. */
  readonly record: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** How many events of a batch get their own bodies in one turn of the writer. */
const PARTS = 32;

export type Erasing = ReturnType<typeof createErasing>;
type Element = Extract<ForgetStep, { readonly forget: "batch" }>["parts"][number];

interface Hides {
  readonly id: boolean;
  readonly type: boolean;
}

/** As it is stored afterwards. */
const shownOf = (event: ForgettableEvent, hides: Hides): ForgettableEvent => ({
  ...event,
  eventId: hides.id ? hashed(event.eventId) : event.eventId,
  type: hides.type ? hashed(event.type) : event.type,
});

const keyOf = ({ row, source, eventId }: ForgettableEvent): string =>
  `event ${row ?? `${source} ${eventId}`}`;

/** What is done with single events, messages and texts. */
export function createErasing(inbox: JobInbox, { dryRun, owed, reason = "" }: ForgetRequest, run: ForgetRun) {
  const { queue, reader, sources, clock } = inbox;
  const { progress, signal } = run;
  /** Each is counted once, in however many places it is found. */
  const counted = new Set<string>();

  async function write(step: ForgetStep): Promise<Forgotten> {
    await run.onRuns();
    return queue.write({ kind: "forget", step, at: clock() }, signal);
  }

  function countOnce(key: string, group: JobGroup, name: "wouldRun" | "left" | "alreadyDone"): boolean {
    if (counted.has(key)) return false;
    counted.add(key);
    group[name]++;
    return true;
  }

  function leaveOnce(one: ForgettableEvent, why: HookonceError): void {
    if (countOnce(keyOf(one), progress.groupOf(one, null), "left")) progress.leave(one, why);
  }

  /** Undefined if the events cannot be told apart. */
  async function elementsOf({ headers, bytes, events }: SharedBody): Promise<Element[] | undefined> {
    const stored = { headers: JSON.parse(headers) as Headers, body: bytes };
    const elements: Element[] = [];
    for (const { row, source, eventId } of events) {
      const json = sources.get(source)?.payloadOf(stored, eventId)?.json;
      if (row === null || typeof json !== "string") return undefined;
      elements.push({ event: row, json });
      if (elements.length % PARTS === 0) await Bun.sleep(0);
    }
    return elements;
  }

  async function part({ row }: SharedBody, elements: readonly Element[]): Promise<void> {
    for (let from = 0; from < elements.length; from += PARTS)
      await write({ forget: "batch", body: row, parts: elements.slice(from, from + PARTS) });
  }

  async function event(one: ForgettableEvent, hides: Hides = { id: false, type: false }): Promise<void> {
    const shown = shownOf(one, hides);
    const group = progress.groupOf(shown, null);
    if (dryRun) {
      const isOwed = ["unhandled", "failed", "held"].includes(one.outcome);
      if (isOwed && !owed) leaveOnce(shown, stillOwed());
      else countOnce(keyOf(one), group, "wouldRun");
      return;
    }
    const sameBody = sources.get(one.source)?.sameBody ?? false;
    const step = { forget: "event", event: one, hides, owed, reason, sameBody } as const;
    let done = await write(step);
    if (done.state === "shared" && one.row !== null) {
      const shared = await reader.sharedBody(one.row);
      const elements = shared === undefined ? undefined : await elementsOf(shared);
      if (shared !== undefined && elements !== undefined) await part(shared, elements);
      done = await write(step);
    }
    progress.erased({ messages: done.messages });
    if (done.state === "forgotten") group.forgotten++;
    else if (done.state === "left") leaveOnce(shown, stillOwed());
    else if (done.state === "shared") leaveOnce(shown, notTakenApart(one.source));
    else countOnce(keyOf(one), group, "alreadyDone");
  }

  return {
    event,
    /** The text is in a body that several events share. */
    async batch(shared: SharedBody, matches: TextMatch): Promise<void> {
      const elements = await elementsOf(shared);
      if (elements === undefined) {
        for (const one of shared.events)
          leaveOnce(shownOf(one, await hiding(one, matches)), notTakenApart(one.source));
        return;
      }
      if (!dryRun) await part(shared, elements);
      // Those rows may come before the one that is looked at next.
      const isInHeaders = await matches(shared.headers);
      for (const [index, one] of shared.events.entries())
        if (isInHeaders || (await matches(elements[index]?.json ?? null)))
          await event(one, await hiding(one, matches));
    },
    /** @returns how many refused deliveries were removed */
    memory: async (matches: TextMatch): Promise<number> =>
      dryRun ? 0 : ((await inbox.memory?.forget(matches)) ?? 0),
    async message(row: number, hidesId: boolean): Promise<void> {
      progress.erased({ messages: dryRun ? 1 : (await write({ forget: "message", row, hidesId })).messages });
    },
    async row(place: "bodies" | "enqueued" | "interrupted runs", row: number): Promise<void> {
      if (dryRun) progress.erased(place === "enqueued" ? { messages: 1 } : { texts: 1 });
      else progress.erased({ messages: (await write({ forget: "row", place, row })).messages });
    },
    async texts(
      place: TextPlace,
      row: number,
      texts: Readonly<Record<string, string | null>>,
    ): Promise<void> {
      if (!dryRun) await write({ forget: "texts", place, row, texts });
      progress.erased({ texts: 1 });
    },
  };
}

function stillOwed(): HookonceError {
  return new HookonceError(
    "event_owed",
    "it is owed, so it was left: run it first (hookonce apply, or hookonce resume if its source is paused), or add --owed, which discards it",
  );
}

function notTakenApart(source: string): HookonceError {
  return new HookonceError(
    "stored_event_unreadable",
    `its delivery brought other events, too, and cannot be taken apart: put the source "${source}" back into hookonce.toml as it was`,
  );
}

/** Which of its names contain the text. */
export async function hiding({ eventId, type }: ForgettableEvent, matches: TextMatch): Promise<Hides> {
  return { id: await matches(eventId), type: await matches(type) };
}
