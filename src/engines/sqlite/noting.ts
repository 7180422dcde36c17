import { createSettledEvents, type SettledEvents } from "../settled-events.ts";
import type { EventStore } from "./event-store.ts";

/** The same store, which also notes each event that had another outcome, or had failed, before. */
function noting(store: EventStore, { note }: SettledEvents): EventStore {
  return {
    ...store,
    insert(...args) {
      const [{ source }, , , failure] = args;
      const event = store.insert(...args);
      if (event !== undefined && failure !== undefined) note(source.name, event);
      return event;
    },
    insertSettled(...args) {
      const event = store.insertSettled(...args);
      if (event !== undefined) note(args[0].name, event);
      return event;
    },
    complete(...args) {
      store.complete(...args);
      note(args[0].name, args[1].id);
    },
    close(...args) {
      store.close(...args);
      note(args[0].name, args[1].id);
    },
  };
}

/** A store that notes events, and those that it has noted. */
export function createNotingStore(plain: EventStore): {
  readonly store: EventStore;
  readonly settled: SettledEvents;
} {
  const settled = createSettledEvents();
  return { store: noting(plain, settled), settled };
}
