import { expect, test } from "bun:test";
import type { NewestPage } from "../../src/engines/reader.ts";
import { createSearchPace } from "../../src/http/admin/search-pace.ts";

const page: NewestPage<number> = { items: [1], next: undefined };

/** Takes 10 ms of this thread, as a page of a search does. */
function busyPage(): NewestPage<number> {
  Bun.sleepSync(10);
  return page;
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

test("a search rests while deliveries come in, and a list without a search does not", async () => {
  let received = 0;
  const read = createSearchPace(() => received);
  await read({ search: "x" }, busyPage);
  received++;
  expect(await msOf(() => read({}, () => page))).toBeLessThan(80);
  expect(await msOf(() => read({ search: "x" }, busyPage))).toBeGreaterThan(80);
});

test("a search does not rest if nothing has come in since its last page", async () => {
  const read = createSearchPace(() => 7);
  await read({ search: "x" }, () => Bun.sleep(200).then(() => page));
  expect(await msOf(() => read({ search: "x" }, () => page))).toBeLessThan(200);
});

test("pages of searches are read one after the other, and a failed one does not stop the next", async () => {
  const read = createSearchPace(() => 0);
  let reading = 0;
  let most = 0;
  const searches = Array.from({ length: 5 }, (_, n) =>
    read({ search: "x" }, async () => {
      most = Math.max(most, ++reading);
      await Bun.sleep(1);
      reading--;
      if (n === 1) throw new Error("no disk");
      return page;
    }),
  );
  const ended = await Promise.allSettled(searches);
  expect(ended.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
    "fulfilled",
  ]);
  expect(most).toBe(1);
});
