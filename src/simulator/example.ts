/**
 * What a provider's deliveries look like, and where its users configure them. There is one literal for each
 * preset.
 */
export interface Example {
  /**
   * The event types that most users want; `send` sends the first. The type is empty if the provider names
   * none.
   */
  readonly types: readonly [string, ...string[]];
  /** One event, as the provider documents it. If the provider sends batches: one element. */
  readonly event: (seed: Seed) => unknown;
  /** Makes the body around the events. If absent, the event itself is the body. */
  readonly wrap?: (events: readonly unknown[], seed: Seed) => unknown;
  /** The headers that carry id and type; names in lower case. */
  readonly headers?: (seed: Seed) => Readonly<Record<string, string>>;
  /** The parameters of the query that carry id and type. */
  readonly query?: (seed: Seed) => Readonly<Record<string, string>>;
  /**
   * Encode the body as a form: the event's fields, or one field that holds the JSON. If absent, the body is
   * JSON.
   */
  readonly form?: "fields" | { readonly field: string };
  /** The form is multipart/form-data, with these files. If absent, it is URL-encoded. */
  readonly files?: (seed: Seed) => readonly ExampleFile[];
  readonly contentType?: string;
  /**
   * What the provider delivers without a type, by the word that `send` and `add` take for it, such as
   * `inbound`. Only the handler `_any` runs for it.
   */
  readonly untyped?: Readonly<Record<string, UntypedExample>>;
  /**
   * An update for a starter handler, with a line for each thing that users trip over; undefined for other
   * types.
   */
  readonly update?: (type: string) => string | undefined;
  /** Where users enter the webhook's URL. */
  readonly dashboard: string;
  /** How users select the events there, if not by ticking them in a list. */
  readonly subscribe?: string;
  /** Users tick only the part before the dot: `issues` covers `issues.opened` and every other action. */
  readonly ticksHeads?: boolean;
  /**
   * How to get deliveries while developing. `URL` is replaced with the source's URL, `EVENTS` with what to
   * tick.
   */
  readonly develop?: string;
}

export type UntypedExample = Omit<Example, "types" | "untyped">;

/** The example for a type, or for a word in `untyped`; and the type that the provider names. */
export function exampleFor(example: Example, word: string): { example: Example; type: string } {
  const { types, untyped = {} } = example;
  const own = Object.hasOwn(untyped, word) ? untyped[word] : undefined;
  return own === undefined ? { example, type: word } : { example: { types, ...own }, type: "" };
}

export interface ExampleFile {
  /** The name of its field. */
  readonly field: string;
  readonly filename: string;
  readonly type: string;
  readonly content: string;
}

/** The values that distinguish one made-up event from another. The same seed makes the same event. */
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

/** The names to tick for these types, without repetition. */
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
