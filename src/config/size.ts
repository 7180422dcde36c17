import { literal } from "./literal.ts";

const UNITS = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024 } as const;

/**
 * The one grammar for sizes: a whole number and a unit, as in `512 KiB`, `5 MiB` or `2 GiB`. The space may be
 * left out.
 *
 * @returns bytes; undefined if the text is not a size
 */
export function parseSize(text: string): number | undefined {
  const found = /^(?<amount>[1-9]\d{0,5}) ?(?<unit>KiB|MiB|GiB)$/.exec(text)?.groups;
  if (found === undefined) return undefined;
  return Number(found["amount"]) * UNITS[found["unit"] as keyof typeof UNITS];
}

/** @param bytes written in the largest unit that is exact, and rounded up to whole KiB if none is */
export function formatSize(bytes: number): string {
  for (const [unit, size] of Object.entries(UNITS)) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`;
  }
  return `${Math.ceil(bytes / UNITS.KiB)} KiB`;
}

/**
 * Why a value is not a size, and what to write instead. A bare number was bytes before units were required.
 */
export function sizeProblem(key: string, value: unknown): string {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1 || value > UNITS.GiB)
    return `${literal(value)} is not a size: write a whole number with KiB, MiB or GiB, as in ${key} = "5 MiB"`;
  // Nobody wants a limit of so few bytes.
  const meant = value <= 500 ? `${value} MiB` : formatSize(value);
  return `${value} has no unit: write ${key} = ${JSON.stringify(meant)}`;
}
