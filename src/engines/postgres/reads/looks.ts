/** How long one page may take, in milliseconds. Then it ends with what it has found. */
const MAX_PAGE_MS = 100;

/** How many rows a page looks at in its first query. Each later one takes twice as many while they are quick. */
const FIRST_LOOK = 64;
const MAX_LOOK = 16_384;
const QUICK_MS = 20;

/** A query of a page has looked at some rows. */
interface Look<Row, Key> {
  /** Those that match, in order. */
  readonly rows: readonly Row[];
  /** The last row that it has looked at. Undefined if nothing follows. */
  readonly end: Key | undefined;
}

/**
 * Looks at more and more rows until the page is full, its time is over, or nothing is left: bodies of some MiB may have
 * to be read to see whether they contain a text.
 *
 * @param look looks at so many rows after a key, and returns so many at most
 * @returns `next`: where the next page begins; undefined if this is the last one
 */
export async function lookForPage<Row, Key>(
  from: Key,
  limit: number,
  keyOf: (row: Row) => Key,
  look: (from: Key, count: number, limit: number) => Promise<Look<Row, Key>>,
  isSearch: boolean,
): Promise<{ readonly items: readonly Row[]; readonly next: Key | undefined }> {
  const until = performance.now() + MAX_PAGE_MS;
  const items: Row[] = [];
  for (let after = from, count = isSearch ? FIRST_LOOK : Math.max(FIRST_LOOK, limit + 1); ;) {
    const began = performance.now();
    const { rows, end } = await look(after, count, limit - items.length);
    items.push(...rows);
    const last = rows.at(-1);
    if (items.length >= limit && last !== undefined) return { items, next: keyOf(last) };
    if (end === undefined) return { items, next: undefined };
    const now = performance.now();
    if (now > until) return { items, next: end };
    after = end;
    count = now - began < QUICK_MS ? Math.min(count * 2, MAX_LOOK) : Math.max(FIRST_LOOK, count >> 1);
  }
}
