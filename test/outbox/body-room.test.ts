import { expect, test } from "bun:test";
import { createBodyRoom } from "../../src/outbox/body-room.ts";

const MIB = 1024 * 1024;

/** Takes room of 1 MiB until there is none. */
function fill(room: ReturnType<typeof createBodyRoom>, name: string, bytes = MIB): number {
  let taken = 0;
  while (room.take(name, bytes) !== undefined) taken++;
  return taken;
}

test("a destination takes half of what the others leave", () => {
  const room = createBodyRoom(64 * MIB);
  expect([fill(room, "a"), fill(room, "b"), fill(room, "c"), fill(room, "d")]).toEqual([32, 16, 8, 4]);
});

test("each destination may send one message, however large it is", () => {
  const room = createBodyRoom(64 * MIB);
  expect(fill(room, "a", 25 * MIB)).toBe(1);
  expect(fill(room, "b", 100 * MIB)).toBe(1);
  expect(fill(room, "c", 25 * MIB)).toBe(1);
});

test("small messages fit beside large ones", () => {
  const room = createBodyRoom(64 * MIB);
  expect(fill(room, "hangs", 25 * MIB)).toBe(1);
  for (let n = 1; n <= 1000; n++) expect(room.take("lives", 1000)).toBeDefined();
});

test("what is given back can be taken, and wakes each that waits once", () => {
  const room = createBodyRoom(4 * MIB);
  const giveBack = room.take("a", 2 * MIB);
  expect(room.take("a", MIB)).toBeUndefined();
  let woken = 0;
  const wake = (): void => void woken++;
  room.whenFree(wake);
  room.whenFree(wake);
  giveBack?.();
  expect(woken).toBe(1);
  expect(room.take("a", MIB)).toBeDefined();
  room.take("b", 1)?.();
  expect(woken).toBe(1);
});
