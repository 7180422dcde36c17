import { expect, test } from "bun:test";
import { readToml, TomlError } from "../../src/config/toml.ts";

function mistakeIn(text: string): [line: number, message: string] {
  try {
    readToml(text);
  } catch (error) {
    if (error instanceof TomlError) return [error.line, error.message];
    throw error;
  }
  throw new Error("it was read");
}

test.each<[text: string, line: number, says: string]>([
  ["a = 1\nsecret = env:A", 2, 'the value is not in quotes: write secret = "…"'],
  ["listen = 127.0.0.1:8787", 1, 'the value is not in quotes: write listen = "…"'],
  ["tolerance = 5m", 1, 'the value is not in quotes: write tolerance = "…"'],
  ["a = True", 1, "write true in lower case"],
  ["[sources.stripe\nprovider = 1", 1, "the bracket of the table is not closed: write [sources.stripe]"],
  ["[a # note\n\n# more\nb = 1", 1, "the bracket of the table is not closed: write [a]"],
  ['a = ["x", "y"\nb = 1', 1, "the bracket of the list is not closed: add ]"],
  ['a = { b = "x"\nc = 1', 1, "the brace is not closed: add }"],
  ["[a]\nx = 1\n[b]\n[a] # again\ny = 2", 4, "[a] is already defined on line 1: put its keys there"],
  ["a = 1\nb = 2\na = 3", 3, "a is already set on line 1: remove one of the two"],
  [String.raw`database = "C:\data\x.db"`, 1, "a backslash between double quotes begins an escape sequence"],
  ['a = "x\nb = 1', 1, "the quotation mark is not closed on its line"],
  ["a = “x”", 1, "“ and ” are not quotation marks in TOML"],
  ['secret: "x"', 1, 'write = between a key and its value, as in secret = "…"'],
])("a mistake is named in plain words: %j", (text, line, says) => {
  const [at, message] = mistakeIn(text);
  expect(at).toBe(line);
  expect(message).toStartWith(says);
});

test("a mistake inside a list or braces on several lines is not mistaken for an unclosed bracket", () => {
  for (const text of ["a = [\n  hello,\n]", "a = [\n  1 2\n]", "a = {\n  b = 1\n  c = 2\n}"])
    expect(mistakeIn(text)[1]).not.toContain("not closed");
});

test("other mistakes keep the words of the parser, and no value is shown", () => {
  expect(mistakeIn("a b = 1")).toEqual([1, "Expected equal (=) token"]);
  for (const text of [
    "s = hidden-value",
    "s: hidden-value",
    's = "hidden-value',
    "s = “hidden-value”",
    "s = 1\ns = hidden-value",
  ])
    expect(mistakeIn(text)[1]).not.toContain("hidden-value");
});

test("lists on several lines are not a mistake", () => {
  expect(readToml('a = [\n  "x",\n  "y",\n]\n').value).toEqual({ a: ["x", "y"] });
});
