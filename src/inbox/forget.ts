import { TEXT_PLACES, type ForgettableEvent } from "../engines/forget.ts";
import type { Cursor, EventFilter } from "../engines/reader.ts";
import type { JobInbox } from "./event-jobs.ts";
import { forgetMatching, REST, WORK_MS } from "./forget-matching.ts";
import { refuseForget, type ForgetPosition, type ForgetRequest } from "./forget-request.ts";
import { createErasing, type Erasing, type ForgetRun } from "./forget-steps.ts";
import { oneEvent, PAGE } from "./job-selection.ts";

/** How many events that were selected are erased together, so that they share a sync. */
const TOGETHER = 16;

/** It may be interrupted at any moment and run again: what is erased stays so. */
export async function runForgetJob(inbox: JobInbox, request: ForgetRequest, run: ForgetRun): Promise<void> {
  const { signal } = run;
  await refuseForget(request);
  const erasing = createErasing(inbox, request, run);
  try {
    const { match, dryRun } = request;
    if (match === undefined) await forgetSelected(inbox, request, run, erasing);
    else if (match !== null) await forgetMatching(inbox, { match, dryRun }, run, erasing);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
  if (request.dryRun || signal.aborted) return;
  // From now on, the record of the job does not contain the text.
  run.onPosition({ ...run.from, place: TEXT_PLACES.length, row: 0 });
  await run.record();
  run.progress.erased({ log: (await inbox.wipe?.()) === true ? "erased" : "held" });
}

/** Events by their ids or by a filter. */
async function forgetSelected(
  inbox: JobInbox,
  request: ForgetRequest,
  run: ForgetRun,
  erasing: Erasing,
): Promise<void> {
  const { reader } = inbox;
  for await (const [events, position] of selected(inbox, request.filter, run.from)) {
    const began = performance.now();
    for (let at = 0; at < events.length; at += TOGETHER) {
      if (run.signal.aborted) return;
      await Promise.all(
        events.slice(at, at + TOGETHER).map(async ({ source, eventId }) => {
          for (const event of await reader.eventsWithId(source, eventId)) await erasing.event(event);
        }),
      );
    }
    run.onPosition(position);
    await Bun.sleep(Math.min(WORK_MS, performance.now() - began) * REST);
  }
}

/** Pages of events: all that were named, or the recorded ones and then the failures that are not recorded. */
async function* selected(
  { reader, sources }: JobInbox,
  filter: EventFilter,
  from: ForgetPosition,
): AsyncGenerator<readonly [readonly Pick<ForgettableEvent, "source" | "eventId">[], ForgetPosition]> {
  const { ids, source, outcome } = filter;
  const names = source === undefined ? [...sources.keys()] : [source];
  if (ids !== undefined) {
    const events: Pick<ForgettableEvent, "source" | "eventId">[] = [];
    for (const id of new Set(ids)) {
      events.push(oneEvent(id, filter, await reader.find(id, names)));
      if (events.length % PAGE === 0) await Bun.sleep(0);
    }
    for (let done = from.ids; done < events.length; done += PAGE)
      yield [events.slice(done, done + PAGE), { ...from, ids: done + PAGE }];
    return;
  }
  const kinds = [
    ...(outcome === "failed" ? [] : [(after?: Cursor) => reader.recorded(filter, after, PAGE, from.ordered)]),
    ...(outcome === undefined || outcome === "failed"
      ? [
          (after?: Cursor) =>
            reader.owed({ ...filter, outcome: "failed" as const }, after, PAGE, from.ordered),
        ]
      : []),
  ];
  let { after } = from;
  for (const [place, read] of kinds.entries()) {
    if (place < from.place) continue;
    do {
      const page = await read(after);
      after = page.next;
      yield [page.items, { ...from, after, place: after === undefined ? place + 1 : place }];
    } while (after !== undefined);
  }
}
