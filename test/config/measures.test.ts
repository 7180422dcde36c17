import { describe, expect, test } from "bun:test";
import { durationProblem, formatDuration, parseDuration } from "../../src/config/duration.ts";
import { formatSize, parseSize, sizeProblem } from "../../src/config/size.ts";

describe("a duration", () => {
  test.each([
    ["0s", 0],
    ["1s", 1000],
    ["30s", 30_000],
    ["15m", 900_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    ["999999d", 86_399_913_600_000],
  ])("%s is %d milliseconds", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    "",
    "s",
    "5",
    "5 m",
    " 5m",
    "5m ",
    "5M",
    "5min",
    "1.5h",
    "-5m",
    "+5m",
    "05m",
    "1h30m",
    "1e3s",
    "٣s",
  ])("%p is refused", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test.each([
    [1000, "1s"],
    [90_000, "90s"],
    [300_000, "5m"],
    [5_400_000, "90m"],
    [7_200_000, "2h"],
    [604_800_000, "7d"],
    [0, "0s"],
  ])("%d milliseconds are written %s, which reads back as the same", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    [300, '300 has no unit: write tolerance = "300s" or "5m"'],
    [45, '45 has no unit: write tolerance = "45s"'],
    [3600, '3600 has no unit: write tolerance = "3600s" or "1h"'],
    [0, '0 is not a duration: write a whole number with s, m, h or d, as in tolerance = "5m"'],
    [-1, "-1 is not a duration: "],
    [1.5, "1.5 is not a duration: "],
    [1_000_000, "1000000 is not a duration: "],
    [12n, "12 is not a duration: "],
    ["5 min", '"5 min" is not a duration: '],
    [true, "true is not a duration: "],
    [["5m"], '["5m"] is not a duration: '],
    [{ minutes: 5 }, "{ minutes = 5 } is not a duration: "],
  ])("%p is refused with what to write instead", (value, message) => {
    expect(durationProblem("tolerance", value)).toStartWith(message);
  });
});

describe("a size", () => {
  test.each([
    ["1 KiB", 1024],
    ["512KiB", 524_288],
    ["5 MiB", 5_242_880],
    ["2 GiB", 2_147_483_648],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each([
    "",
    "5",
    "5 B",
    "5 MB",
    "5 mib",
    "5  MiB",
    "5MiB ",
    "0 MiB",
    "1.5 MiB",
    "-1 MiB",
    "05 MiB",
    "5 TiB",
  ])("%p is refused", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test.each([
    [1_048_576, '1048576 has no unit: write max_body = "1 MiB"'],
    [4096, '4096 has no unit: write max_body = "4 KiB"'],
    [1_073_741_824, '1073741824 has no unit: write max_body = "1 GiB"'],
    // Rounded up, so that no body that was accepted is refused.
    // A number this small was meant in MiB.
    [25, '25 has no unit: write max_body = "25 MiB"'],
    [1000, '1000 has no unit: write max_body = "1 KiB"'],
    [100_000, '100000 has no unit: write max_body = "98 KiB"'],
    [0, '0 is not a size: write a whole number with KiB, MiB or GiB, as in max_body = "5 MiB"'],
    [0.5, "0.5 is not a size: "],
    ["25 MB", '"25 MB" is not a size: '],
  ])("%p is refused with what to write instead", (value, message) => {
    expect(sizeProblem("max_body", value)).toStartWith(message);
    const suggested = /= "([^"]+)"/.exec(message)?.[1];
    if (suggested !== undefined) expect(parseSize(suggested)).toBeGreaterThanOrEqual(Number(value) || 0);
  });

  test("is written in the largest unit that is exact", () => {
    expect([1024, 1_048_576, 1_049_600, 3_221_225_472].map(formatSize)).toEqual([
      "1 KiB",
      "1 MiB",
      "1025 KiB",
      "3 GiB",
    ]);
  });
});
