/**
 * The query line, the URL and the API have the same filter: `source:stripe type:invoice.* outcome:failed
 * since:1h cus_123` is `/events?source=stripe&type=invoice.*&outcome=failed&since=1h&search=cus_123`.
 */

export const KEYS = ["source", "type", "outcome", "since", "until"] as const;

type Key = (typeof KEYS)[number];

/** Values as they are typed. */
export type Filter = Readonly<Partial<Record<Key | "search", string>>>;

/** Values as the API takes them. Times are Unix milliseconds. */
export interface ApiFilter {
  readonly source?: string;
  readonly type?: string;
  readonly outcome?: string;
  readonly since?: number;
  readonly until?: number;
  readonly search?: string;
}

/** Which messages a list shows. */
export interface MessageFilter {
  readonly destination?: string;
  readonly state?: string;
  readonly source?: string;
  readonly event_id?: string;
}

export const OUTCOMES = [
  "processed",
  "unhandled",
  "failed",
  "held",
  "ignored",
  "stale",
  "discarded",
  "imported",
] as const;

/** Splits at spaces outside of double quotes. */
export function wordsOf(line: string): string[] {
  return line.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

export function parseLine(line: string): Filter {
  const filter: Partial<Record<Key | "search", string>> = {};
  const text: string[] = [];
  for (const word of wordsOf(line)) {
    const [, key, value = ""] = /^([a-z]+):(.*)$/s.exec(word) ?? [];
    if (isKey(key)) {
      if (value !== "") filter[key] = unquoted(value);
    } else text.push(unquoted(word));
  }
  if (text.length > 0) filter.search = text.join(" ");
  return filter;
}

export function lineOf(filter: Filter): string {
  const keys = KEYS.flatMap((key) => (filter[key] === undefined ? [] : [`${key}:${quoted(filter[key])}`]));
  const { search } = filter;
  if (search === undefined) return keys.join(" ");
  // A search that would read as a key is quoted.
  const text = wordsOf(search).some((word) => isKey(/^([a-z]+):/.exec(word)?.[1])) ? `"${search}"` : search;
  return [...keys, text].join(" ");
}

export function filterOf(params: URLSearchParams): Filter {
  const filter: Partial<Record<Key | "search", string>> = {};
  for (const key of [...KEYS, "search"] as const) {
    const value = params.get(key);
    // `type=` is for events without a type.
    if (value !== null && (value !== "" || key === "type")) filter[key] = value;
  }
  return filter;
}

export function eventsPath(filter: Filter): string {
  const params = new URLSearchParams();
  for (const key of [...KEYS, "search"] as const) {
    const value = filter[key];
    if (value !== undefined) params.set(key, value);
  }
  const text = params.toString();
  return text === "" ? "/events" : `/events?${text}`;
}

/** The filter for the API, or a message that says which value is wrong. */
export function toApi(filter: Filter, now: number): ApiFilter | string {
  const { source, type, outcome, since, until, search } = filter;
  if (outcome !== undefined && !(OUTCOMES as readonly string[]).includes(outcome))
    return `There is no outcome "${outcome}". Write one of ${OUTCOMES.join(", ")}.`;
  const times: { since?: number; until?: number } = {};
  for (const [key, value] of Object.entries({ since, until })) {
    if (value === undefined) continue;
    const time = timeOf(value, now);
    if (time === undefined)
      return `${key}:${value} is not a time. Write a duration back from now, such as 15m, 2h or 7d, or a date such as 2026-11-27.`;
    times[key as "since" | "until"] = time;
  }
  return {
    ...(source === undefined ? {} : { source }),
    ...(type === undefined ? {} : { type }),
    ...(outcome === undefined ? {} : { outcome }),
    ...times,
    ...(search === undefined ? {} : { search }),
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration back from now, ISO 8601, or Unix seconds. */
export function timeOf(text: string, now: number): number | undefined {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return now - Number(amount) * (UNITS[unit] as number);
  if (/^\d{9,11}$/.test(text)) return Number(text) * 1000;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) || time < 0 ? undefined : time;
}

export interface Completion {
  /** What is shown. */
  readonly text: string;
  /** The line once it is chosen. */
  readonly line: string;
}

export interface Known {
  readonly sources: readonly string[];
  readonly types: readonly string[];
}

/** What could be meant by the last word of the line. */
export function completionsOf(line: string, { sources, types }: Known): readonly Completion[] {
  const [, before = "", last = ""] = /^(.*?)(\S*)$/s.exec(line) ?? [];
  const [, key, start = ""] = /^([a-z]+):(.*)$/s.exec(last) ?? [];
  const values = isKey(key) ? valuesOf(key, { sources, types }) : [];
  const texts = isKey(key)
    ? values.filter((value) => value.startsWith(start) && value !== start).map((value) => `${key}:${value}`)
    : KEYS.filter((one) => !before.includes(`${one}:`) && one.startsWith(last)).map((one) => `${one}:`);
  return texts.slice(0, 8).map((text) => ({
    text,
    line: `${before}${text}${text.endsWith(":") ? "" : " "}`,
  }));
}

function valuesOf(key: Key, { sources, types }: Known): readonly string[] {
  switch (key) {
    case "source":
      return sources;
    case "type":
      return types;
    case "outcome":
      return OUTCOMES;
    case "since":
    case "until":
      return ["15m", "1h", "24h", "7d", "30d"];
  }
}

function isKey(key: string | undefined): key is Key {
  return (KEYS as readonly (string | undefined)[]).includes(key);
}

const unquoted = (text: string): string => text.replaceAll('"', "");
const quoted = (text: string): string => (text === "" || /\s/.test(text) ? `"${text}"` : text);

/** The filter for one type only, even if the type itself ends with a `*`. */
export const exactly = (type: string): string => (type.endsWith("*") ? `${type.slice(0, -1)}\\*` : type);
