import { expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { createTextMatch } from "../../src/inbox/text-match.ts";

const TEXT = "Zoë Ünal/alice+tag@example.com";

/** JSON as PHP and Python write it. */
const ascii = (value: unknown): string =>
  JSON.stringify(value)
    .replace(/[\u0080-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replaceAll("/", "\\/");

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const ENCODED: Readonly<Record<string, string | Uint8Array>> = {
  "as it is": `{"a":"x ${TEXT} y"}`,
  "as bytes": Buffer.from(`{"a":"${TEXT}"}`),
  "in JSON escapes": ascii({ a: `x ${TEXT}` }),
  "in JSON escapes with capitals": ascii({ a: TEXT }).replaceAll("\\u00eb", "\\u00EB"),
  "in JSON inside JSON": JSON.stringify({ data: ascii({ a: TEXT }) }),
  "in JSON inside JSON inside JSON": ascii({ data: ascii({ data: ascii({ a: TEXT }) }) }),
  "in a form": new URLSearchParams({ name: TEXT, other: "1" }).toString(),
  "in a form with small letters": new URLSearchParams({ name: TEXT })
    .toString()
    .replace(/%[0-9A-F]{2}/g, (one) => one.toLowerCase()),
  "in a URL": JSON.stringify({ url: `https://x.test/?q=${encodeURIComponent(TEXT)}` }),
  "in JSON inside a form": new URLSearchParams({ payload: ascii({ a: TEXT }) }).toString(),
  "in base64": JSON.stringify({ message: { data: base64(JSON.stringify({ a: TEXT })) } }),
  "in base64 for URLs, as in a token": `eyJhbGciOiJub25lIn0.${Buffer.from(ascii({ a: TEXT })).toString("base64url")}.x`,
  "in base64 with escaped slashes": ascii({ data: base64(`?>?>${ascii({ a: TEXT })}`) }),
  "in base64 after other characters": `xy${base64(`{"a":"${TEXT}"}`)}`,
  "in base64 inside a form": new URLSearchParams({ data: base64(ascii({ a: TEXT })) }).toString(),
  "in base64 with lines": base64(`${"x".repeat(50)}${ascii({ a: TEXT })}${"y".repeat(50)}`).replace(
    /.{76}/g,
    "$&\r\n",
  ),
  "in character references": `<name>Zo&#xEB; &#220;nal/alice+tag&#64;example.com</name>`,
  "with combining accents": JSON.stringify({ a: TEXT.normalize("NFD") }),
};

for (const [where, value] of Object.entries(ENCODED)) {
  test(`finds a text ${where}`, async () => {
    expect(await createTextMatch(TEXT)(value)).toBe(true);
  });
}

test.each([
  ["gzip", gzipSync],
  ["X-Gzip", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
] as const)("finds a text in a body with the Content-Encoding %s", async (encoding, compress) => {
  const matches = createTextMatch(TEXT);
  expect(await matches(compress(Buffer.from(ascii({ a: TEXT }))), encoding)).toBe(true);
  expect(await matches(compress(Buffer.from(ascii({ a: "b" }))), encoding)).toBe(false);
  // The encoding may be a lie.
  expect(await matches(Buffer.from(ascii({ a: TEXT })), encoding)).toBe(true);
  expect(await matches(Buffer.from("no"), encoding)).toBe(false);
});

test("a body that inflates without end is not looked through to its end", async () => {
  const bomb = gzipSync(Buffer.alloc(61 * 1024 * 1024));
  expect(await createTextMatch(TEXT)(bomb, "gzip")).toBe(false);
});

test("finds a text in windows-1252", async () => {
  expect(await createTextMatch("Zoë Ünal")(Buffer.from("name=Zo\u00eb \u00dcnal", "latin1"))).toBe(true);
});

test("finds a text at each place of a large body, also in base64", async () => {
  const matches = createTextMatch(TEXT);
  for (const before of [0, 131_000, 131_072, 131_100, 400_001]) {
    const filler = "x ".repeat(Math.ceil(before / 2)).slice(0, before);
    expect(await matches(`${filler}${ascii({ a: TEXT })}${"y".repeat(200_000)}`)).toBe(true);
    expect(await matches(`${filler}"${base64(ascii({ a: TEXT }))}"${" ".repeat(200_000)}`)).toBe(true);
  }
});

test("finds a text of a few bytes only if it is there", async () => {
  for (const text of ["a", "ab", "abc", "abcd", "abcde"]) {
    const has = createTextMatch(text);
    expect(await has("xyz 123")).toBe(false);
    expect(await has(`xyz ${text} 123`)).toBe(true);
  }
});

test("finds a short text in base64 only if all of it is there, wherever it begins", async () => {
  for (const text of ["abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "Zoë 1"]) {
    const has = createTextMatch(text);
    const cut = Buffer.from(text);
    for (const before of ["", "x", "xy", "xyz"])
      for (const after of ["", "x", "xy", "xyz"]) {
        const around = (inner: Buffer): string =>
          // What comes before is no text, so the run is not decoded as a whole.
          `"${Buffer.concat([Buffer.from([0, 1, 2]), Buffer.from(before), inner, Buffer.from(after)]).toString("base64url")}"`;
        expect([text, before, after, await has(around(cut))]).toEqual([
          text,
          before,
          after,
          cut.length > 4 || before.length !== 1,
        ]);
        for (const other of [cut.subarray(0, -1), cut.subarray(1)])
          expect([text, before, after, await has(around(other))]).toEqual([text, before, after, false]);
      }
  }
});

test("does not find what is not there", async () => {
  const matches = createTextMatch(TEXT);
  expect(await matches(null)).toBe(false);
  expect(await matches(ascii({ a: TEXT.replace("alice", "alicia"), b: base64("alice@example.com") }))).toBe(
    false,
  );
  expect(await matches(TEXT.toLowerCase())).toBe(false);
  expect(await matches(Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 37) % 256)))).toBe(false);
});
