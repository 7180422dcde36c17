import { expect } from "bun:test";
import { createBodyBudget, type DropReason } from "../../src/http/body-budget.ts";
import { testInFullRun } from "../crash/requirements.ts";

const KIB = 1024;
const limits = { total: 64 * KIB, reserve: 0, pauseMs: 60_000, wholeMs: 60_000 };

testInFullRun("a slow body that is dropped for its own bytes leaves all its memory to others", async () => {
  const budget = createBodyBudget(limits);
  const dropped: DropReason[] = [];
  for (let n = 0; n < 2; n++) {
    const slow = budget.begin();
    expect(slow?.wait((why) => dropped.push(why))).toBe(true);
    expect(slow?.take(47.75 * KIB)).toBe(true);
    await Bun.sleep(1050);
    expect(slow?.take(KIB / 2)).toBe(false);
    slow?.end();
  }
  expect(dropped).toEqual(["room", "room"]);
  const next = budget.begin();
  expect(next?.wait(() => {})).toBe(true);
  expect(next?.take(48 * KIB)).toBe(true);
  next?.end();
});
