import type { EventStore } from "./event-store.ts";

/**
 * The events of the running job that may not need their bodies any more: they have another outcome, or a message of
 * them was sent, discarded or removed.
 */
export interface SettledEvents {
  readonly note: (source: string, event: number) => void;
  /** Those since the last call, each once. */
  take(): readonly { readonly source: string; readonly event: number }[];
}

export function createSettledEvents(): SettledEvents {
  const sources = new Map<number, string>();
  return {
    note: (source, event) => void sources.set(event, source),
    take() {
      if (sources.size === 0) return [];
      const all = Array.from(sources, ([event, source]) => ({ source, event }));
      sources.clear();
      return all;
    },
  };
}

/** The same store, which also notes each event that had another outcome, or had failed, before. */
export function noting(store: EventStore, { note }: SettledEvents): EventStore {
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
