import { describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { listContents } from "../../src/backup/contents.ts";
import { HookonceError } from "../../src/errors.ts";
import { MANIFEST } from "../../src/backup/manifest.ts";
import { paddingOf, TAR_END, tarHeader, type TarEntry } from "../../src/backup/tar.ts";
import { unpackBackup } from "../../src/backup/unpack.ts";
import { writeBackup } from "../../src/backup/write-backup.ts";
import { scratch, type Scratch } from "../cli/support/hookonce.ts";

const manifest = {
  format: 1 as const,
  hookonce: "0.1.0",
  made_at: 1000,
  database: "data/hookonce.db",
  database_path: "/srv/inbox/data/hookonce.db",
  secrets: false,
  left_out: [],
};

/** A small backup, and a new folder for each time it is unpacked. */
async function makeBackup(
  folder: Scratch,
): Promise<{ bytes: Buffer; unpack: (bytes: Buffer, room?: number) => Promise<string> }> {
  folder.write({
    "inbox/hookonce.toml": "version = 1",
    "inbox/handlers/a.sql": "select 1",
    copy: "a database",
  });
  const file = join(folder.path, "a.tar");
  const descriptor = openSync(file, "wx");
  const inbox = join(folder.path, "inbox");
  const { contents } = listContents({ folder: inbox, isOfDatabase: () => false, secretFiles: [] });
  await writeBackup({ contents, copy: join(folder.path, "copy"), manifest, descriptor });
  closeSync(descriptor);
  let count = 0;
  return {
    bytes: readFileSync(file),
    async unpack(bytes, room = 2 ** 30) {
      const to = join(folder.path, `unpacked-${count++}`);
      mkdirSync(to);
      writeFileSync(file, bytes);
      await unpackBackup(file, to, { room });
      return to;
    },
  };
}

/** @returns the code and the message */
async function refusalOf(unpacking: Promise<unknown>): Promise<string> {
  try {
    await unpacking;
    return "nothing was refused";
  } catch (error) {
    return error instanceof HookonceError ? `[${error.code}] ${error.message}` : String(error);
  }
}

/** An archive with these entries, whose files have an x. */
function archive(entries: readonly (Partial<TarEntry> & { path: string })[]): Buffer {
  const parts = entries.map((entry) => {
    const isFile = (entry.kind ?? "file") === "file";
    const size = isFile ? 1 : 0;
    const header = tarHeader({ kind: "file", mode: 0o600, changedAt: 0, target: "", size, ...entry });
    return Buffer.concat([header, isFile ? Buffer.alloc(1 + paddingOf(1), "x") : Buffer.alloc(0)]);
  });
  return Buffer.concat([...parts, TAR_END]);
}

const link = (path: string, target: string) => ({ path, kind: "link" as const, target });
const inFolder = (path: string) => ({ path, kind: "folder" as const });

/** Another type, with the sum that belongs to it. */
function withType(header: Buffer, type: string): Buffer {
  const changed = Buffer.from(header);
  changed.write(type, 156, "latin1");
  changed.fill(" ", 148, 156);
  const sum = changed.reduce((all, byte) => all + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}

describe("a backup", () => {
  test("is unpacked with every file", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    const to = await unpack(bytes);
    expect(readFileSync(join(to, "handlers/a.sql"), "utf8")).toBe("select 1");
    expect(readFileSync(join(to, "data/hookonce.db"), "utf8")).toBe("a database");
    const written = JSON.parse(readFileSync(join(to, MANIFEST), "utf8")) as { files: { path: string }[] };
    expect(written.files.map(({ path }) => path)).toEqual([
      "handlers/a.sql",
      "hookonce.toml",
      "data/hookonce.db",
    ]);
  });

  test("that is cut anywhere is refused", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    for (let length = 0; length < bytes.length - 512; length += 256)
      expect(await refusalOf(unpack(bytes.subarray(0, length))), `${length} bytes`).toStartWith(
        "[backup_invalid]",
      );
  });

  test("with a changed byte in any file is refused", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    for (const text of ["version = 1", "select 1", "a database", "sha256", "hookonce.toml\0"]) {
      const changed = Buffer.from(bytes);
      const at = changed.indexOf(text);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await refusalOf(unpack(changed)), text).toStartWith("[backup_invalid]");
    }
  });

  test.each([
    ["a path outside its folder", [{ path: "../outside.txt" }]],
    ["a path that goes out and comes back", [{ path: "handlers/../../outside.txt" }]],
    ["an absolute path", [{ path: "/tmp/hookonce-outside.txt" }]],
    ["an absolute path of a folder", [inFolder("/tmp/hookonce-outside.txt/")]],
    ["a link that leads outside", [link("handlers", "../..")]],
    ["an absolute link", [link("handlers", "/tmp")]],
    ["a link outside, and a file behind it", [link("out", ".."), { path: "out/outside.txt" }]],
    [
      "a chain of links that leads outside, and a file behind it",
      [
        inFolder("a"),
        inFolder("a/b"),
        link("a/b/here", "../.."),
        link("out", "a/b/here/.."),
        { path: "out/outside.txt" },
      ],
    ],
    ["a chain of links that leads outside", [inFolder("a"), link("a/here", ".."), link("out", "a/here/..")]],
    [
      "a chain of links to a file outside that does not exist",
      [inFolder("a"), link("a/here", ".."), link("hookonce.db-wal", "a/here/../outside.txt")],
    ],
    ["links in a circle", [link("a", "b"), link("b", "a")]],
    ["a folder that a link replaces", [inFolder("a"), link("a", ".."), { path: "a/outside.txt" }]],
    ["a link that a folder replaces", [link("a", ".."), inFolder("a"), { path: "a/outside.txt" }]],
    ["a file that comes twice", [{ path: "a" }, { path: "a" }]],
    ["a file below a file", [{ path: "a" }, { path: "a/b" }]],
    ["a name with NUL", [{ path: "a\0/../../outside.txt".padEnd(120, "x") }]],
    ["a name that is too long", [{ path: "x".repeat(300) }]],
  ])("with %s is refused, and nothing is written there", async (_, entries) => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    expect(await refusalOf(unpack(archive(entries)))).toStartWith("[backup_invalid]");
    expect(existsSync(join(folder.path, "outside.txt"))).toBe(false);
    expect(existsSync("/tmp/hookonce-outside.txt")).toBe(false);
  });

  test.each([
    ["a hard link", "1"],
    ["a character device", "3"],
    ["a block device", "4"],
    ["a pipe", "6"],
    ["a file with holes", "S"],
    ["a long name of GNU tar", "L"],
    ["a header for all entries", "g"],
  ])("with %s is refused", async (_, type) => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    const header = tarHeader({ path: "a", kind: "file", mode: 0o600, size: 0, changedAt: 0, target: "" });
    expect(await refusalOf(unpack(Buffer.concat([withType(header, type), TAR_END])))).toContain(
      `it has an entry of the type "${type}"`,
    );
  });

  test("takes no more memory than the file is large, whatever its headers say", async () => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    const gib = { kind: "file", mode: 0o600, size: 2 ** 30, changedAt: 0, target: "" } as const;
    const before = process.memoryUsage().rss;
    const pax = withType(tarHeader({ ...gib, path: "PaxHeader" }), "x");
    expect(await refusalOf(unpack(Buffer.concat([pax, TAR_END])))).toContain("a header that no backup has");
    const twice = withType(tarHeader({ ...gib, path: "PaxHeader", size: 0 }), "x");
    expect(await refusalOf(unpack(Buffer.concat([twice, twice, TAR_END])))).toContain(
      "a header that no backup has",
    );
    expect(await refusalOf(unpack(Buffer.concat([tarHeader({ ...gib, path: "a" }), TAR_END])))).toContain(
      "it ends in the middle",
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 ** 2);
  });

  test("ends before the disk is full, also with many small entries", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    expect(await refusalOf(unpack(bytes, 10_000))).toStartWith("[disk_full]");
    const folders = archive(Array.from({ length: 300 }, (_, n) => inFolder(`f${n}`)));
    expect(await refusalOf(unpack(folders, 1024 ** 2))).toStartWith("[disk_full]");
  });

  test("with a file that its list does not name is refused", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    const added = archive([{ path: "handlers/added.ts" }]).subarray(0, -TAR_END.length);
    expect(await refusalOf(unpack(Buffer.concat([added, bytes])))).toContain(
      "handlers/added.ts was not backed up by hookonce",
    );
  });

  test("with links within its folder is unpacked with them", async () => {
    using folder = scratch();
    folder.write({ "inbox/handlers/lib/a.ts": "" });
    symlinkSync("lib", join(folder.path, "inbox/handlers", "again"));
    symlinkSync("../handlers/again/nothing", join(folder.path, "inbox/handlers", "later"));
    const { bytes, unpack } = await makeBackup(folder);
    const to = await unpack(bytes);
    expect(readlinkSync(join(to, "handlers/again"))).toBe("lib");
    expect(readlinkSync(join(to, "handlers/later"))).toBe("../handlers/again/nothing");
  });

  test.each([
    ["an empty file", "", "is empty: no backup was written to it"],
    ["a short text", "127.0.0.1 localhost\n", "is not a backup: it is not a tar file"],
    ["a long text", "127.0.0.1 localhost\n".repeat(100), "is not a backup: it is not a tar file"],
    ["age", "age-encryption.org/v1\n-> X25519", "is encrypted with age. Decrypt it first"],
    ["age as text", "-----BEGIN AGE ENCRYPTED FILE-----\n", "is encrypted with age. Decrypt it first"],
    ["gpg", "\x8c\x0d\x04\x09", "is encrypted with GnuPG. Decrypt it first"],
    ["openssl", "Salted__01234567", "is encrypted with OpenSSL. Decrypt it first"],
    ["gzip", "\x1f\x8b\x08\0", "is compressed with gzip. Decompress it first"],
    ["zstd", "\x28\xb5\x2f\xfd", "is compressed with zstd. Decompress it first"],
    ["a database", "SQLite format 3\0", "is a database, not a backup"],
  ])("that is %s is refused with a plain reason", async (_, text, reason) => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    expect(await refusalOf(unpack(Buffer.from(text, "latin1")))).toContain(reason);
  });

  test("that another program made is refused", async () => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    expect(await refusalOf(unpack(archive([{ path: "a" }])))).toContain("so hookonce backup did not make it");
  });

  test("of a newer format is refused with the reason", async () => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    const text = JSON.stringify({ ...manifest, format: 2, files: [] });
    const header = tarHeader({ path: "x/", kind: "folder", mode: 0o700, size: 0, changedAt: 0, target: "" });
    const folders = tarHeader({
      path: ".hookonce/",
      kind: "folder",
      mode: 0o700,
      size: 0,
      changedAt: 0,
      target: "",
    });
    const file = tarHeader({
      path: MANIFEST,
      kind: "file",
      mode: 0o600,
      size: text.length,
      changedAt: 0,
      target: "",
    });
    const padding = Buffer.alloc(paddingOf(text.length));
    const bytes = Buffer.concat([header, folders, file, Buffer.from(text), padding, TAR_END]);
    expect(await refusalOf(unpack(bytes))).toContain("a newer hookonce made it");
  });
});
