import { expect, test } from "bun:test";
import type { DueMessage } from "../../src/engines/outbox.ts";
import { createDueRows } from "../../src/outbox/due-rows.ts";

/** A table whose reads take place at once and are answered when the test says so, as from another machine. */
function table(count: number) {
  const due = new Set(Array.from({ length: count }, (_, index) => index + 1));
  const answers: (() => void)[] = [];
  let reads = 0;
  const rows = createDueRows((limit) => {
    reads++;
    const found: DueMessage[] = [...due].slice(0, limit).map((row) => ({ row, nextAt: 0 }));
    const { promise, resolve } = Promise.withResolvers<readonly DueMessage[]>();
    answers.push(() => resolve(found));
    return promise;
  });
  const next = async (): Promise<number | undefined> => {
    const row = rows.next();
    answers.shift()?.();
    return row;
  };
  return { due, rows, next, answers, reads: () => reads };
}

test("gives out each row once, the longest due first, a page at a time", async () => {
  const { rows, next, reads } = table(600);
  const given: unknown[] = [];
  for (let row = await next(); row !== undefined; row = await next()) given.push(row);
  expect(given).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
  expect(rows.taken).toBe(600);
  // Rows that are given out are read again, because they are still due.
  expect(reads()).toBe(3);
});

test("does not look again by itself once nothing was found", async () => {
  const { due, rows, next, reads } = table(1);
  expect(await next()).toBe(1);
  due.delete(1);
  rows.settle(1);
  due.add(2);
  expect(await next()).toBeUndefined();
  expect(reads()).toBe(1);
  rows.lookAgain();
  expect(await next()).toBe(2);
});

test("a row that becomes due again after it was settled is given out again", async () => {
  const { rows, next } = table(1);
  expect(await next()).toBe(1);
  rows.lookAgain();
  expect(await next()).toBeUndefined();
  rows.settle(1);
  rows.lookAgain();
  expect(await next()).toBe(1);
});

test("a row that is settled while a read is under way is not given out for what that read found", async () => {
  const { due, rows, next, answers } = table(1);
  expect(await next()).toBe(1);
  rows.lookAgain();
  const late = rows.next();
  // The read has seen the row as it was.
  due.delete(1);
  rows.settle(1);
  answers.shift()?.();
  expect(await late).toBeUndefined();
  expect(rows.taken).toBe(0);
});

test("a row that is put back is the next one", async () => {
  const { rows, next } = table(3);
  expect(await next()).toBe(1);
  expect(await next()).toBe(2);
  rows.putBack(2);
  rows.putBack(1);
  expect(rows.taken).toBe(0);
  expect([await next(), await next(), await next()]).toEqual([1, 2, 3]);
});

test("after a read that failed it reads again", async () => {
  let fails = true;
  const rows = createDueRows(() => {
    if (fails) throw new Error("the disk");
    return [{ row: 7, nextAt: 0 }];
  });
  expect(rows.next()).rejects.toThrow("the disk");
  await Bun.sleep(0);
  fails = false;
  expect(await rows.next()).toBe(7);
});
