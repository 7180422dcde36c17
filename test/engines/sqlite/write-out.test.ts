import { expect, test } from "bun:test";
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createWriteOut, piecesOf } from "../../../src/engines/sqlite/write-out.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const MIB = 1024 * 1024;

test.each([0, 1, MIB, MIB + 1, 64 * MIB, 64 * MIB + 1, 200 * MIB, 5000 * MIB + 4096])(
  "a file of %d bytes is cut into pieces without gaps, and not too many",
  (size) => {
    const pieces = [...piecesOf(size)];
    let end = 0;
    for (const [from, length] of pieces) {
      expect(from).toBe(end);
      expect(length).toBeGreaterThan(0);
      end = from + length;
    }
    expect(end).toBeGreaterThanOrEqual(size);
    expect(pieces.length).toBeLessThanOrEqual(64 + 32);
  },
);

test.skipIf(process.platform !== "linux")("writes out a file", () => {
  const folder = temporaryFolder("write-out");
  const path = join(folder, "file");
  const file = openSync(path, "w+");
  try {
    const writeOut = createWriteOut(file);
    expect(writeOut).toBeFunction();
    writeSync(file, Buffer.alloc(3 * MIB, "x"));
    expect(writeOut?.()).toBeUndefined();
    fsyncSync(file);
    expect(readFileSync(path).equals(Buffer.alloc(3 * MIB, "x"))).toBe(true);
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
});

test.skipIf(process.platform !== "linux")(
  "is undefined if the kernel does not support it, as for a device",
  () => {
    const device = openSync("/dev/null", "r");
    try {
      expect(createWriteOut(device)).toBeUndefined();
      expect(createWriteOut(9999)).toBeUndefined();
    } finally {
      closeSync(device);
    }
  },
);
