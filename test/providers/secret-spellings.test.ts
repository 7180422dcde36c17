import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createLatin1Redaction, createTextRedaction } from "../../src/providers/body/secret-spellings.ts";

const SECRET = "s3cr/et+va lue==ü";
const small = (text: string): string => text.replaceAll(/%[0-9A-F]{2}/g, (one) => one.toLowerCase());
const again = (text: string): string => text.replaceAll("%", "%25");
const percent = encodeURIComponent(SECRET);
const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const base64 = (text: string, encoding: "base64" | "base64url" = "base64"): string =>
  Buffer.from(text).toString(encoding);

describe("a secret is recognized", () => {
  test.each([
    ["as it is", SECRET],
    ["percent-encoded", percent],
    ["with small hex digits", small(percent)],
    ["with the slash and the plus as they are", percent.replace("%2F", "/").replace("%2B", "+")],
    ["encoded in part", percent.replace("%2F", "/").replace("%3D", "=")],
    ["with hex digits of both sizes", percent.replace("%2F", "%2f")],
    ["encoded as a form", new URLSearchParams({ s: SECRET }).toString().slice("s=".length)],
    ["in a form that has taken its plus for a space", SECRET.replace("+", " ")],
    ["with every byte encoded", Array.from(Buffer.from(SECRET), (one) => `%${one.toString(16)}`).join("")],
    ["encoded twice", encodeURIComponent(percent)],
    ["encoded three times, with small hex digits", small(again(again(percent)))],
    ["in JSON with an escaped slash", json(SECRET).replaceAll("/", "\\/")],
    ["in JSON with escaped characters", json(SECRET).replace("ü", "\\u00FC").replace("/", "\\u002f")],
    ["in base64", base64(SECRET)],
    ["in the base64 of URLs", base64(SECRET, "base64url")],
    ["in base64 that is percent-encoded", encodeURIComponent(base64(SECRET))],
  ])("%s", (_, spelling) => {
    const redact = createTextRedaction([SECRET]);
    expect(redact(`a ${spelling}&b=1 ${spelling}`)).toBe("a [redacted]&b=1 [redacted]");
  });

  test.each(["", "u", "us", "user", "user:"])("in the base64 of basic authentication: %p", (user) => {
    const [kept = ""] = createTextRedaction([SECRET])(base64(`${user}:${SECRET}`)).split("[redacted]");
    expect(kept.length).toBeLessThanOrEqual(Math.ceil(((user.length + 1) * 4) / 3));
  });

  test("in bytes that are not text", () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(`${SECRET} and ${percent}`)]);
    const redacted = createLatin1Redaction([SECRET])(bytes.toString("latin1"));
    expect(redacted).toBe("\u00ff\u00fe[redacted] and [redacted]");
  });

  test("in whatever way its characters are encoded", () => {
    const encodings = [
      (one: string) => one,
      encodeURIComponent,
      (one: string) => small(encodeURIComponent(one)),
      (one: string) => again(encodeURIComponent(one)),
      (one: string) => Array.from(Buffer.from(one), (b) => `%${b.toString(16).padStart(2, "0")}`).join(""),
    ];
    const spelled = fc.array(
      fc.tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }), fc.nat(4)),
      {
        minLength: 8,
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(spelled, (characters) => {
        const secret = characters.map(([one]) => one).join("");
        const spelling = characters.map(([one, at]) => encodings[at]?.(one)).join("");
        expect(createTextRedaction([secret])(`<<${spelling}>>`)).toBe("<<[redacted]>>");
      }),
      { numRuns: 300, seed: 20_261_127 },
    );
  });
});

test("the longest of several secrets is replaced whole", () => {
  expect(createTextRedaction(["abc", "abcdef"])("abcdef abc")).toBe("[redacted] [redacted]");
});

test("other text stays as it is, also with an empty secret", () => {
  const text = "s3cr/et %73 czNjci9l + %25";
  expect(createTextRedaction([SECRET, ""])(text)).toBe(text);
});
