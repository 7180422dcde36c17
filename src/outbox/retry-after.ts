/** A year. No message waits longer, and the sum with the clock stays exact. */
const LONGEST_MS = 365 * 24 * 3600 * 1000;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The three forms that a receiver must read (RFC 9110, 5.6.7). The first is the current one. */
const DATES = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  /^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  // Sunday, 06-Nov-94 08:49:37 GMT
  /^[A-Z][a-z]+, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  // Sun Nov  6 08:49:37 1994
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/,
];

/**
 * Reads the header Retry-After: seconds, or a date in any form of HTTP.
 *
 * @param nowMs Unix milliseconds
 * @returns milliseconds from now, at least 0 and at most a year; null if it is missing or neither
 */
export function parseRetryAfter(text: string | null, nowMs: number): number | null {
  const value = text?.trim() ?? "";
  const waitMs = /^-?\d+$/.test(value) ? Number(value) * 1000 : (parseHttpDate(value, nowMs) ?? NaN) - nowMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(waitMs, 0), LONGEST_MS);
}

/** @returns Unix milliseconds */
function parseHttpDate(text: string, nowMs: number): number | undefined {
  const parts = DATES.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (parts === undefined) return undefined;
  const month = MONTHS.indexOf(parts["month"] ?? "");
  const day = Number(parts["day"]);
  const [hour = 0, minute = 0, second = 0] = (parts["time"] ?? "").split(":").map(Number);
  // A leap second is 60.
  if (month === -1 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined;
  const at = (year: number): number => Date.UTC(year, month, day, hour, minute, second);
  const year = Number(parts["year"]);
  if (year >= 100) return at(year);
  // Two digits that seem to be more than 50 years in the future are a year in the past.
  const thisYear = new Date(nowMs).getUTCFullYear();
  const near = thisYear - (thisYear % 100) + year;
  return at(near > thisYear + 50 ? near - 100 : near);
}
