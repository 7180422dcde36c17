import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardFiles } from "../../src/dashboard/files.ts";

const files = await dashboardFiles();

test("the page takes at most 100 kB, compressed", () => {
  const sizes = [...files.values()].map(({ gzip, bytes }) => (gzip ?? bytes).length);
  expect(sizes.reduce((sum, one) => sum + one, 0)).toBeLessThan(100_000);
  expect(sizes.length).toBeGreaterThanOrEqual(5);
});

test("every file but the index has a hash in its name, and is kept for a year", () => {
  for (const [path, { immutable, etag }] of files) {
    expect({ path, immutable }).toEqual({ path, immutable: path !== "/" });
    if (path !== "/") expect(path).toMatch(/^\/assets\/[a-z]+-[a-z0-9]{8,}\.(?:js|css|svg)$/);
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
  }
});

test("the index names only files that exist, and has no script or style of its own", () => {
  const html = new TextDecoder().decode(files.get("/")?.bytes);
  const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
  expect(named.length).toBe(3);
  for (const path of named) expect([path, files.has(path)]).toEqual([path, true]);
  expect(html).not.toMatch(/<style|style=|<script(?![^>]* src=)|\son\w+=/);
});

test("what is compressed is the same file", () => {
  for (const { bytes, gzip } of files.values()) {
    if (gzip !== null) expect(Bun.gunzipSync(gzip)).toEqual(bytes);
  }
});

function text(name: RegExp): string {
  return new TextDecoder().decode([...files].find(([path]) => name.test(path))?.[1].bytes);
}

test("only the chart loads the library of the chart", () => {
  expect(text(/chart-/)).toContain("u-over");
  expect(text(/main-/)).not.toContain("u-over");
});

test("the page never writes markup from text, and never runs text", () => {
  const folder = join(import.meta.dir, "../../src/dashboard/page");
  const code = readdirSync(folder).filter((name) => /\.tsx?$/.test(name));
  expect(code.length).toBeGreaterThan(15);
  for (const name of code) {
    expect(readFileSync(join(folder, name), "utf8")).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\(|new Function\(/i,
    );
  }
});
