import type { LoadedHandler } from "../handlers/handler.ts";
import type { Storage } from "../engines/sqlite/storage.ts";
import type { Several } from "../engines/sqlite/events.ts";
import { SIZES } from "../engines/sqlite/together.ts";
import type { Apply } from "./apply.ts";
import type { Incoming, Result } from "./incoming.ts";
import { runHandler } from "./run-handler.ts";

/** An event that may share its statements with others. */
interface Ready extends Incoming {
  readonly handler: LoadedHandler;
}

/**
 * Puts several events, eight at best, on the guest list with one statement, runs their handlers in their order, and stores what brought
 * them with another: a third less of what SQLite takes for an event. It is what happens to each by itself (apply.ts) but in another order and
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
  function applyGroup(group: readonly Ready[], until: number): Result[] {
    const several = events.several.get(group.length) as Several;
    const ids = list(group, several);
    const runs = group.map(({ source, handler, input }, n) => {
      if (ids[n] === undefined) return undefined;
      if (performance.now() > until) throw new Error("there is no time for the others of this group");
      return runHandler(handler, input, source.requireChange);
    });
    const firstDelivery = runs.includes(undefined) ? undefined : keepDeliveries(group, several);
    const kept = group.map((event, n) => {
      const [listedAs, run] = [ids[n], runs[n]];
      if (listedAs === undefined || run === undefined) return undefined;
      const applied = { listedAs, run, outcome: "processed", hadFailed: false } as const;
      return apply.keep(event, applied, firstDelivery === undefined ? undefined : firstDelivery + n);
    });
    // Last, because it may be one of these that came a second time.
    return group.map((event, n) => kept[n] ?? apply.listed(event));
  }

  return {
    take: (queue, from, to) => (failures.hasOpen() ? undefined : readyOnes(queue, from, to)),
    apply: applyGroup,
  };
}

function list(group: readonly Ready[], several: Several): (number | undefined)[] {
  return several.add(
    group.map(({ handler, input }) => ({
      source: input.source,
      eventId: input.id,
      type: input.type,
      handler: handler.file,
      receivedAt: input.receivedAt,
    })),
  );
}

function keepDeliveries(group: readonly Ready[], several: Several): number {
  return several.keepDeliveries(
    group.map(({ input }) => ({
      receivedAt: input.receivedAt,
      headers: input.headersJson,
      body: input.body,
    })),
  );
}

/** @returns as many as there are statements for */
function readyOnes(
  queue: readonly { readonly event: Incoming }[],
  from: number,
  to: number,
): Ready[] | undefined {
  const source = queue[from]?.event.source;
  const ready: Ready[] = [];
  for (let n = from; n < Math.min(to, from + SIZES[0]); n++) {
    const event = queue[n]?.event;
    if (event === undefined || event.source !== source || !isReady(event)) break;
    ready.push(event);
  }
  const size = SIZES.find((one) => one <= ready.length);
  return size === undefined ? undefined : ready.slice(0, size);
}

function isReady(event: Incoming): event is Ready {
  const { source, handler, shared } = event;
  return handler?.independent === true && !source.sameBody && shared === undefined;
}
