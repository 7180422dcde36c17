import { describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paddingOf, readTarHeader, TAR_END, tarHeader, type TarEntry } from "../../src/backup/tar.ts";
import { scratch } from "../cli/support/hookonce.ts";
import { needsCommand, testUnless } from "../crash/requirements.ts";

const CHANGED_AT = Date.UTC(2026, 10, 28, 4, 0, 0);

function entry(path: string, more: Partial<TarEntry> = {}): TarEntry {
  return { path, kind: "file", mode: 0o640, size: 0, changedAt: CHANGED_AT, target: "", ...more };
}

const LONG = `${"folder/".repeat(30)}file.sql`;

const entries: readonly (readonly [TarEntry, string])[] = [
  [entry("a.txt", { size: 5 }), "hello"],
  [entry("empty.txt"), ""],
  [entry("block.txt", { size: 512 }), "x".repeat(512)],
  [entry("folder/", { kind: "folder", mode: 0o750 }), ""],
  [entry("folder/größe ✓.txt", { size: 3 }), "abc"],
  [entry("folder/link", { kind: "link", mode: 0o777, target: "../a.txt" }), ""],
  [entry("long-link", { kind: "link", mode: 0o777, target: LONG }), ""],
  [entry(LONG, { size: 6 }), "select"],
];

function archive(): Buffer {
  const parts = entries.flatMap(([one, text]) => [
    tarHeader(one),
    Buffer.from(text),
    Buffer.alloc(paddingOf(one.size)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

function readerOf(bytes: Buffer): (length: number) => Buffer {
  let position = 0;
  return (length) => {
    const piece = bytes.subarray(position, position + length);
    position += piece.length;
    return piece;
  };
}

function readAll(bytes: Buffer): [TarEntry, string][] {
  const read = readerOf(bytes);
  const found: [TarEntry, string][] = [];
  for (let one = readTarHeader(read); one !== undefined; one = readTarHeader(read)) {
    found.push([one, read(one.size).toString()]);
    read(paddingOf(one.size));
  }
  return found;
}

describe("a tar file", () => {
  test("is read as it was written: long names, other alphabets, links", () => {
    expect(readAll(archive())).toEqual(entries.map(([one, text]) => [one, text]));
  });

  test("holds sizes of 8 GiB and more", () => {
    const size = 9 * 1024 ** 3;
    expect(readTarHeader(readerOf(tarHeader(entry("large", { size }))))?.size).toBe(size);
  });

  testUnless(
    needsCommand("tar"),
    "is unpacked by tar",
    async () => {
      using folder = scratch();
      writeFileSync(join(folder.path, "a.tar"), archive());
      const tar = Bun.spawn(["tar", "xpf", "a.tar"], { cwd: folder.path, stderr: "pipe" });
      expect([await tar.exited, await tar.stderr.text()]).toEqual([0, ""]);
      for (const [{ path, kind, mode, target }, text] of entries) {
        const full = join(folder.path, path);
        if (kind === "link") expect(readlinkSync(full)).toBe(target);
        else expect([path, statSync(full).mode & 0o777]).toEqual([path, mode]);
        if (kind === "file") expect(readFileSync(full, "utf8")).toBe(text);
      }
      expect(statSync(join(folder.path, "a.txt")).mtimeMs).toBe(CHANGED_AT);
    },
    30_000,
  );

  testUnless(
    needsCommand("tar"),
    "that tar has made is read, too",
    async () => {
      using folder = scratch({ "a/b.txt": "hello", [LONG]: "select" });
      const tar = Bun.spawn(["tar", "cf", "a.tar", "--format=pax", "a", "folder"], { cwd: folder.path });
      expect(await tar.exited).toBe(0);
      const found = readAll(readFileSync(join(folder.path, "a.tar")));
      expect(found.filter(([{ kind }]) => kind === "file").map(([{ path }, text]) => [path, text])).toEqual([
        ["a/b.txt", "hello"],
        [LONG, "select"],
      ]);
    },
    30_000,
  );

  testUnless(
    needsCommand("tar"),
    "with a file with holes is refused, because its parts would be taken for the file",
    async () => {
      using folder = scratch();
      const file = join(folder.path, "holes");
      writeFileSync(file, "");
      truncateSync(file, 64 * 1024 ** 2);
      for (const format of ["pax", "gnu"]) {
        const args = ["tar", "cf", "a.tar", "--sparse", `--format=${format}`, "holes"];
        expect(await Bun.spawn(args, { cwd: folder.path }).exited).toBe(0);
        expect(() => readAll(readFileSync(join(folder.path, "a.tar"))), format).toThrow("no backup has");
      }
    },
    30_000,
  );

  test("with a damaged or foreign header is refused", () => {
    const damaged = archive();
    damaged[3] = 0x40;
    expect(() => readAll(damaged)).toThrow("it is damaged, or it is not a tar file");
    expect(() => readAll(Buffer.from("version = 1\n".repeat(100)))).toThrow("it is not a tar file");
    expect(() => readAll(Buffer.alloc(0))).toThrow("it ends in the middle");
  });
});
