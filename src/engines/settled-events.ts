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
