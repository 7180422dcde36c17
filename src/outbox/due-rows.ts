import type { DueMessage, MaybePromise } from "../engines/outbox.ts";

/** How many rows are read at a time. Without bodies they are small. */
const PAGE = 256;

/** The due rows of a destination. A row is given out again only after the result of its attempt is durable. */
export interface DueRows {
  /** The row that has been due longest. Undefined if the last look found none. */
  next(): Promise<number | undefined>;
  /** The row was not sent, and is the next one again. */
  putBack(row: number): void;
  /** The result of the row's attempt is durable, or there is nothing to do for it. */
  settle(row: number): void;
  /** Other rows may be due by now. */
  lookAgain(): void;
  /** How many rows are given out and not settled. */
  readonly taken: number;
}

/** @param read the rows that are due now, the longest due first */
export function createDueRows(read: (limit: number) => MaybePromise<readonly DueMessage[]>): DueRows {
  const page: number[] = [];
  const taken = new Set<number>();
  let mayHaveMore = true;
  let isReading = false;
  let settledMeanwhile: number[] = [];

  async function readPage(): Promise<void> {
    mayHaveMore = false;
    isReading = true;
    try {
      // Rows that are given out are still due in the database, and come first.
      const limit = PAGE + taken.size;
      const found = await read(limit);
      if (found.length === limit) mayHaveMore = true;
      page.push(...found.map(({ row }) => row).filter((row) => !taken.has(row)));
    } catch (error) {
      mayHaveMore = true;
      throw error;
    } finally {
      isReading = false;
      for (const row of settledMeanwhile) taken.delete(row);
      settledMeanwhile = [];
    }
  }

  return {
    get taken() {
      return taken.size;
    },
    async next() {
      if (page.length === 0 && mayHaveMore) await readPage();
      const row = page.shift();
      if (row !== undefined) taken.add(row);
      return row;
    },
    putBack(row) {
      taken.delete(row);
      page.unshift(row);
    },
    settle(row) {
      // The read may have begun before this was durable, and then finds the row as it was.
      if (isReading) settledMeanwhile.push(row);
      else taken.delete(row);
    },
    lookAgain() {
      mayHaveMore = true;
    },
  };
}
