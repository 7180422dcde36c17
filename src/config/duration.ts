import { literal } from "./literal.ts";

const UNITS_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/**
 * The one grammar for durations: a whole number and a unit, as in `30s`, `15m`, `2h` or `7d`.
 *
 * @returns milliseconds; undefined if the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  const found = /^(?<amount>0|[1-9]\d{0,5})(?<unit>[smhd])$/.exec(text)?.groups;
  if (found === undefined) return undefined;
  return Number(found["amount"]) * UNITS_MS[found["unit"] as keyof typeof UNITS_MS];
}

/** @param ms whole seconds; written in the largest unit that is exact, so 300,000 is `5m` */
export function formatDuration(ms: number): string {
  for (const [unit, size] of Object.entries(UNITS_MS)) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms / UNITS_MS.s}s`;
}

/**
 * Why a value is not a duration, and what to write instead. A bare number was seconds before units were
 * required.
 */
export function durationProblem(key: string, value: unknown): string {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1 || value > 999_999)
    return `${literal(value)} is not a duration: write a whole number with s, m, h or d, as in ${key} = "5m"`;
  const choices = new Set([`${value}s`, formatDuration(value * UNITS_MS.s)]);
  const written = [...choices].map((text) => JSON.stringify(text)).join(" or ");
  return `${value} has no unit: write ${key} = ${written}`;
}
