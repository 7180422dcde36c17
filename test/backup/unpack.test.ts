import { describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listContents } from "../../src/backup/contents.ts";
import { MANIFEST } from "../../src/backup/manifest.ts";
import { paddingOf, TAR_END, tarHeader } from "../../src/backup/tar.ts";
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
async function makeBackup(folder: Scratch): Promise<{ bytes: Buffer; unpack: (bytes: Buffer) => string }> {
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
    unpack(bytes) {
      const to = join(folder.path, `unpacked-${count++}`);
      mkdirSync(to);
      writeFileSync(file, bytes);
      unpackBackup(file, to);
      return to;
    },
  };
}

const refusal = expect.objectContaining({ code: "backup_invalid" });

describe("a backup", () => {
  test("is unpacked with every file", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    const to = unpack(bytes);
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
      expect(() => unpack(bytes.subarray(0, length)), `${length} bytes`).toThrow(refusal);
  });

  test("with a changed byte in any file is refused", async () => {
    using folder = scratch();
    const { bytes, unpack } = await makeBackup(folder);
    for (const text of ["version = 1", "select 1", "a database", "sha256", "hookonce.toml\0"]) {
      const changed = Buffer.from(bytes);
      const at = changed.indexOf(text);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => unpack(changed), text).toThrow(refusal);
    }
  });

  test.each([
    ["a path outside its folder", { path: "../outside.txt", kind: "file" as const, target: "" }],
    ["an absolute path", { path: "/tmp/hookonce-outside.txt", kind: "file" as const, target: "" }],
    ["a link that leads outside", { path: "handlers", kind: "link" as const, target: "../.." }],
    ["an absolute link", { path: "handlers", kind: "link" as const, target: "/tmp" }],
  ])("with %s is refused, and nothing is written there", async (_, entry) => {
    using folder = scratch();
    const { unpack } = await makeBackup(folder);
    const header = tarHeader({ mode: 0o600, size: 1, changedAt: 0, ...entry });
    const content = entry.kind === "file" ? Buffer.alloc(1 + paddingOf(1), "x") : Buffer.alloc(0);
    expect(() => unpack(Buffer.concat([header, content, TAR_END]))).toThrow(refusal);
    expect(existsSync(join(folder.path, "outside.txt"))).toBe(false);
    expect(existsSync("/tmp/hookonce-outside.txt")).toBe(false);
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
    expect(() => unpack(bytes)).toThrow("a newer hookonce made it");
  });
});
