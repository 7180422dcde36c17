/** Times for people, in the time zone of this machine. */

/**
 * Writes a time as `11-27 10:04:11`, with the year if it is not the current one.
 *
 * @param ms Unix milliseconds
 */
export function shortTime(ms: number, now: number): string {
  const at = new Date(ms);
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const year = at.getFullYear() === new Date(now).getFullYear() ? "" : `${at.getFullYear()}-`;
  return `${year}${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The same without the day if that is today, to leave room for ids. */
export function listTime(ms: number, now: number): string {
  const text = shortTime(ms, now);
  const [today] = shortTime(now, now).split(" ");
  return text.startsWith(`${today} `) ? text.slice(text.indexOf(" ") + 1) : text;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** Writes how long ago a time was: `8 s`, `5 min`, `3 h` or `12 d`. */
export function ago(ms: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** Writes in how much time something comes: `now`, `in 8 s`, `in 5 min`, `in 3 h` or `in 12 d`. */
export function until(ms: number, now: number): string {
  return ms <= now ? "now" : `in ${ago(now, ms).replace(/ ago$/, "")}`;
}

/** Writes a time that was measured in microseconds: `0.4 ms`, `12 ms` or `3.2 s`. */
export function tookText(us: number): string {
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  return us < 1_000_000 ? `${Math.round(us / 1000)} ms` : `${(us / 1_000_000).toFixed(1)} s`;
}
