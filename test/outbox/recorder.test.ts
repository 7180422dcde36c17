import { expect, test } from "bun:test";
import type { Entry } from "../../src/engines/records.ts";
import { HookonceError } from "../../src/errors.ts";
import { createRecorder } from "../../src/outbox/recorder.ts";

const entryOf = (message: number): Entry => ({ entry: "command started", message, run: null });
const numberOf = (entry: Entry): number => (entry.entry === "command started" ? entry.message : -1);

const ignore = (): void => {};

function recording(refuses: (numbers: readonly number[]) => boolean = () => false) {
  const written: number[][] = [];
  const warned: string[] = [];
  const log = {
    debug: ignore,
    info: ignore,
    error: ignore,
    warn: (_: object, text: string) => void warned.push(text),
  };
  const recorder = createRecorder(
    async (entries) => {
      const numbers = entries.map(numberOf);
      await Bun.sleep(1);
      if (refuses(numbers)) throw new HookonceError("disk_full", "The disk is full.");
      written.push(numbers);
    },
    log,
    1,
  );
  return { recorder, written, warned };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test("what is recorded at the same time shares a transaction, in order", async () => {
  const { recorder, written } = recording();
  await Promise.all(upTo(600).map((number) => recorder.record(entryOf(number))));
  expect(written.map(({ length }) => length)).toEqual([1, 256, 256, 87]);
  expect(written.flat()).toEqual(upTo(600));
});

test("what is refused is kept and written once later, with one warning", async () => {
  let refusals = 3;
  const { recorder, written, warned } = recording(() => refusals-- > 0);
  await Promise.all(upTo(20).map((number) => recorder.record(entryOf(number))));
  expect(written.flat().toSorted((a, b) => a - b)).toEqual(upTo(20));
  expect(warned).toEqual([
    "results of attempts could not be recorded, and are kept in memory until they can",
  ]);
});

test("an entry that is always refused does not hold up the others", async () => {
  const { recorder, written } = recording((numbers) => numbers.includes(3));
  void recorder.record(entryOf(3));
  await Promise.all([1, 2, 4, 5].map((number) => recorder.record(entryOf(number))));
  expect(written.flat().toSorted((a, b) => a - b)).toEqual([1, 2, 4, 5]);
  expect(await recorder.end(20)).toBe(1);
});

test("what is dropped while it is refused is not tried again", async () => {
  const { recorder, written } = recording((numbers) => numbers.includes(1));
  void recorder.record(entryOf(1));
  const second = recorder.record(entryOf(2));
  recorder.drop((entry) => numberOf(entry) === 1);
  await second;
  expect(await recorder.end(1000)).toBe(0);
  expect(written).toEqual([[2]]);
});

test("an end waits for what can be written, and gives up the rest after its time", async () => {
  const { recorder, written } = recording();
  for (const number of upTo(300)) void recorder.record(entryOf(number));
  expect(await recorder.end(10_000)).toBe(0);
  expect(written.flat()).toEqual(upTo(300));

  const refused = recording(() => true);
  for (const number of upTo(5)) void refused.recorder.record(entryOf(number));
  expect(await refused.recorder.end(20)).toBe(5);
  expect(refused.written).toEqual([]);
});

test("an end without anything to write does not wait", async () => {
  expect(await recording().recorder.end(10_000)).toBe(0);
});
