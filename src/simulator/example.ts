/** What a provider's deliveries look like, and where its user says what to deliver: one literal for each preset, by the preset's name. */
export interface Example {
  /** The events that most users want; `send` sends the first. A source whose provider names no type has the empty one. */
  readonly types: readonly [string, ...string[]];
  /** One event, in the shape that the provider documents. Of a provider that sends batches: an element. */
  readonly event: (seed: Seed) => unknown;
  /** The body around the events, where it is not the event itself. */
  readonly wrap?: (events: readonly unknown[], seed: Seed) => unknown;
  /** The headers that bring id and type, in lower case. */
  readonly headers?: (seed: Seed) => Readonly<Record<string, string>>;
  /** A form of the event's fields; or with the JSON in one field. JSON where it is not said. */
  readonly form?: "fields" | { readonly field: string };
  readonly contentType?: string;
  /** Where the webhook's URL is entered. */
  readonly dashboard: string;
  /** The setting there that takes the events, when it is no list to tick. */
  readonly subscribe?: string;
  /** There it is `issues` that is ticked, for all that may happen to one: what a type says after its dot is not asked for. */
  readonly ticksHeads?: boolean;
  /** How to get deliveries while developing. `URL` stands for the source's own, `EVENTS` for what is ticked. */
  readonly develop?: string;
}

/** What tells one made-up event from another. The same seed makes the same event. */
export interface Seed {
  /** 24 hex digits. */
  readonly id: string;
  /** The same as a number, below 2^40. */
  readonly number: number;
  readonly type: string;
  /** When the event happened: Unix seconds, milliseconds, and RFC 3339. */
  readonly s: number;
  readonly ms: number;
  readonly iso: string;
}

/** @param ms Unix milliseconds */
export function seedOf(id: string, type: string, ms: number): Seed {
  return {
    id,
    number: Number.parseInt(id.slice(-10), 16),
    type,
    s: Math.trunc(ms / 1000),
    ms,
    iso: new Date(ms).toISOString(),
  };
}

/** As 8-4-4-4-12 hex digits. */
export function uuidOf({ id }: Seed): string {
  const hex = id.padStart(32, "0");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** What is to be ticked for these types, each once. */
export function tickedFor({ ticksHeads }: Example, types: readonly string[]): string[] {
  const named = types.filter((type) => type !== "");
  return [...new Set(ticksHeads === true ? named.map((type) => halvesOf(type).head) : named)];
}

/** `issues.opened` → `issues` and `opened`. */
export function halvesOf(type: string): { head: string; tail: string | undefined } {
  const dot = type.indexOf(".");
  return dot === -1
    ? { head: type, tail: undefined }
    : { head: type.slice(0, dot), tail: type.slice(dot + 1) };
}
