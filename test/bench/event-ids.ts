/**
 * How the ids of a load are made. The prefix that an id shares with its neighbours decides how many pages of
 * the unique index a batch touches.
 *
 * - `time`: 8 characters of the time in milliseconds, then 16 random ones, as UUIDv7 and ULID do.
 * - `random`: 24 random characters.
 * - `seconds`: like `time`, but in whole seconds, as KSUIDs and Stripe's ids do. The bench sends faster than
 *   any provider sends to one account, so thousands of ids share a second and have no order within it. This
 *   is the hard case of ids that grow with time.
 */
export type IdKind = "time" | "random" | "seconds";

export type NextId = () => string;

/** In byte order, so that the text sorts like the time. */
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * Makes ids of 28 characters, like Stripe's.
 *
 * @param startMs the time of the first id, in Unix milliseconds
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

/** Makes random letters and digits from a pool of random bytes, because millions are needed. */
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
