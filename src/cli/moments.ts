/** Times for people, in the time zone of this machine. */

/**
 * Writes a time as `11-27 10:04:11`, with the year if it is another one than now.
 *
 * @param ms Unix milliseconds
 */
export function shortTime(ms: number, now: number): string {
  const at = new Date(ms);
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const year = at.getFullYear() === new Date(now).getFullYear() ? "" : `${at.getFullYear()}-`;
  return `${year}${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** `1 row`, `2 rows`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
