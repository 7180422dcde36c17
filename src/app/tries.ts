import type { TriedJson } from "../http/admin/try-shapes.ts";
import { runTrials, type TrialLine, type TrialOptions, type TrialOrder } from "./trial-process.ts";

/** The event that a handler is tried on. */
export type TriedEvent =
  | {
      readonly from: "stored";
      readonly source: string;
      readonly eventId: string;
      readonly type: string;
      readonly applied: boolean;
    }
  /** By default of any source that runs the handler. */
  | { readonly from: "sample"; readonly source?: string | undefined; readonly type?: string | undefined }
  | {
      readonly from: "data";
      readonly source: string;
      readonly type?: string | undefined;
      /** The body in base64. */
      readonly body: string;
    };

export interface Try {
  /** Relative to the inbox folder. */
  readonly file: string;
  readonly event: TriedEvent;
}

/** The child's input, as JSON on standard input. */
export interface TryOrder extends TrialOrder {
  readonly tries: readonly Try[];
}

/** A run that begins. */
export type Trying = Pick<TriedJson, "source" | "event_id" | "type">;

export type TryLine = TrialLine<Trying, TriedJson>;

export interface TriesOptions extends Omit<TrialOptions<Trying>, "left" | "onEnded" | "onDied"> {
  readonly tries: readonly Try[];
  readonly onTried?: (tried: TriedJson) => void;
}

export interface TriedAll {
  readonly tried: readonly TriedJson[];
  /** Why the others were not tried. */
  readonly why: string | undefined;
}

/** Runs handlers on events and rolls back. Changes nothing, and ends within 30 s, whatever a handler does. */
export async function runTries({ tries, onTried, ...options }: TriesOptions): Promise<TriedAll> {
  const tried: TriedJson[] = [];
  const add = (one: TriedJson): void => {
    tried.push(one);
    onTried?.(one);
  };
  const why = await runTrials<Trying>({
    ...options,
    left: () => (tried.length < tries.length ? { tries: tries.slice(tried.length) } : undefined),
    onEnded: (ran) => add(ran as TriedJson),
    onDied({ source, event_id, type }, { code, error }) {
      const { file, event } = tries[tried.length] as Try;
      add({
        ...nothingDone(file, event),
        source,
        event_id,
        type,
        failure: { code, error, at: null, line: null },
      });
    },
  });
  return { tried, why };
}

/** A run that has done nothing yet. */
export function nothingDone(handler: string, event: TriedEvent): TriedJson {
  return {
    handler,
    from: event.from,
    source: event.source ?? "",
    event_id: event.from === "stored" ? event.eventId : "",
    applied: event.from === "stored" && event.applied,
    type: event.type ?? "",
    events_in_body: 1,
    why: null,
    failure: null,
    rows_changed: 0,
    duration_us: 0,
    reply: null,
    tables: [],
    messages: [],
    statements: [],
    null_paths: [],
    output: [],
  };
}
