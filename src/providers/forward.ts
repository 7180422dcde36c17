import { matchesType } from "./newest.ts";

/** Where the events of a source are sent on to, as the config has it. */
export interface ForwardRule {
  /** The name of a destination. */
  readonly to: string;
  /** Exact types, or prefixes that end in `*`. Undefined: all. */
  readonly types: readonly string[] | undefined;
  readonly where: string | undefined;
}

/** A destination that a source's events are sent to. */
export interface Forward {
  readonly destination: string;
  /** Whether events of this type are sent. */
  readonly takes: (type: string) => boolean;
  /** An SQL expression over the bindings of SQL handlers. If it is false or NULL, the event is not sent. */
  readonly where: string | undefined;
}

export function compileForwards(rules: readonly ForwardRule[]): readonly Forward[] {
  return rules.map(({ to, types, where }) => ({
    destination: to,
    takes: types === undefined ? () => true : (type) => matchesType(types, type),
    where,
  }));
}
