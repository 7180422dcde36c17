/**
 * How the ids of a load are made. What they share with their neighbours decides how many pages of the unique index a batch touches.
 *
 * - `time`: 8 characters of the time in milliseconds, then 16 random ones, as UUIDv7 and ULID do.
 * - `random`: 24 random characters.
 * - `seconds`: `time`, but in whole seconds, as KSUIDs and Stripe's do. At a rate that no provider sends at to one account, thousands
 *   share a second and are in no order within it: the hard case of the ids that grow with time.
 */
export type IdKind = "time" | "random" | "seconds";

export type NextId = () => string;

/** In the order of their bytes, so that text sorts as the time does. */
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * All ids are 28 characters long, like Stripe's.
 *
 * @param startMs the time of the first id, Unix milliseconds
 * @param perMs how many ids share a millisecond
 */
export function createIds(kind: IdKind, startMs: number, perMs: number): NextId {
  const random = createRandomText();
  let n = 0;
  return () => {
    const ms = startMs + Math.floor(n++ / perMs);
    switch (kind) {
      case "random":
        return `evt_${random(24)}`;
      case "time":
        return `evt_${base62(ms, 8)}${random(16)}`;
      case "seconds":
        return `evt_${base62(ms - (ms % 1000), 8)}${random(16)}`;
    }
  };
}

/** Random letters and digits, from a pool that is filled at once: millions are needed. */
export function createRandomText(): (length: number) => string {
  const pool = new Uint8Array(64 * 1024);
  let used = pool.length;
  return (length) => {
    if (used + length > pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    let text = "";
    for (const end = used + length; used < end; used++) text += ALPHABET[(pool[used] as number) % 62];
    return text;
  };
}

function base62(value: number, width: number): string {
  let text = "";
  for (let rest = value; text.length < width; rest = Math.floor(rest / 62)) text = ALPHABET[rest % 62] + text;
  return text;
}
