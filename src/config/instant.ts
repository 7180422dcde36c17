/**
 * Reads a time in ISO 8601 or in Unix seconds.
 *
 * @returns Unix milliseconds; undefined if it is neither
 */
export function readTime(text: string): number | undefined {
  const ms = /^\d{1,11}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}
