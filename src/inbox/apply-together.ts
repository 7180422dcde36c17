import type { LoadedHandler } from "../handlers/handler.ts";
import type { Storage } from "../storage/storage.ts";
import { TOGETHER } from "../storage/together.ts";
import type { Apply } from "./apply.ts";
import type { Incoming, Result } from "./incoming.ts";
import { runHandler, type Run } from "./run-handler.ts";

/** An event that may share its statements with others. */
interface Ready extends Incoming {
  readonly handler: LoadedHandler;
}

/**
 * Puts {@link TOGETHER} events on the guest list with one statement, runs their handlers in their order, and stores the rest of them
 * likewise: a third less of what SQLite takes for an event. It is what happens to each by itself (apply.ts) but in another order and
 * without savepoints, so it is only for events whose handlers do not look at the list, while none has failed.
 */
export interface ApplyTogether {
  /** @returns the next events of a queue, or undefined when they are too few or the first is to be applied by itself */
  take(
    queue: readonly { readonly event: Incoming }[],
    from: number,
    to: number,
  ): readonly Ready[] | undefined;
  /**
   * @param until on the monotonic clock
   * @throws whatever went wrong: the whole transaction is to be rolled back, and done again with each event by itself
   */
  apply(group: readonly Ready[], until: number): readonly Result[];
}

export function createApplyTogether({ events, failures }: Storage, apply: Apply): ApplyTogether {
  /** @returns their rows' ids; undefined for those that were on the list, or come a second time */
  function list(group: readonly Ready[]): (number | undefined)[] {
    const ids = events.addSeveral(
      group.map(({ handler, input }) => ({
        source: input.source,
        eventId: input.id,
        type: input.type,
        handler: handler.file,
        receivedAt: input.receivedAt,
      })),
    );
    return group.map(({ input }) => {
      const id = ids.get(input.id);
      ids.delete(input.id);
      return id;
    });
  }

  function keepAll(group: readonly Ready[], ids: readonly number[], runs: readonly Run[]): Result[] {
    const firstDelivery = events.keepSeveral(
      group.map(({ input }) => ({
        receivedAt: input.receivedAt,
        headers: input.headersJson,
        body: input.body,
      })),
    );
    events.finishSeveral(
      runs.map(({ rowsChanged, durationUs }, n) => ({
        id: ids[n] as number,
        rowsChanged,
        durationUs,
        deliveryId: firstDelivery + n,
      })),
    );
    return group.map(({ input: { id, type } }, n) => ({
      ...(runs[n] as Run),
      eventId: id,
      type,
      outcome: "processed",
    }));
  }

  function applyGroup(group: readonly Ready[], until: number): Result[] {
    const ids = list(group);
    const runs = group.map(({ source, handler, input }, n) => {
      if (ids[n] === undefined) return undefined;
      if (performance.now() > until) throw new Error("there is no time for the others of this group");
      return runHandler(handler, input, source.requireChange);
    });
    if (!runs.includes(undefined)) return keepAll(group, ids as number[], runs as Run[]);
    const kept = group.map((event, n) => {
      const [listedAs, run] = [ids[n], runs[n]];
      return listedAs === undefined || run === undefined
        ? undefined
        : apply.keep(event, { listedAs, run, outcome: "processed", hadFailed: false });
    });
    // Last, because it may be one of these that came a second time.
    return group.map((event, n) => kept[n] ?? apply.listed(event));
  }

  return {
    take: (queue, from, to) =>
      from + TOGETHER > to || failures.hasOpen() ? undefined : readyOnes(queue, from),
    apply: applyGroup,
  };
}

/** @returns undefined when one of them may only be applied by itself */
function readyOnes(queue: readonly { readonly event: Incoming }[], from: number): Ready[] | undefined {
  const source = queue[from]?.event.source;
  const group: Ready[] = [];
  for (let n = from; n < from + TOGETHER; n++) {
    const event = queue[n]?.event;
    if (event === undefined || event.source !== source || !isReady(event)) return undefined;
    group.push(event);
  }
  return group;
}

function isReady(event: Incoming): event is Ready {
  const { source, handler, shared } = event;
  return handler?.independent === true && !source.sameBody && shared === undefined;
}
