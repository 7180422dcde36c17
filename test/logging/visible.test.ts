import { expect, test } from "bun:test";
import { readableLine } from "../../src/logging/readable-line.ts";
import { visible, visibleJson } from "../../src/logging/visible.ts";

test.each([
  ["plain text stays", "evt_1 invoice.paid é 日本 🐙 \\n", "evt_1 invoice.paid é 日本 🐙 \\n"],
  ["a tab stays", "a\tb", "a\tb"],
  ["an escape sequence", "\u001b[2J\u001b]0;title\u0007", "\\u001b[2J\\u001b]0;title\\u0007"],
  ["a C1 control sequence", "\u009b31m", "\\u009b31m"],
  ["DEL and NUL", "\u007f\0", "\\u007f\\u0000"],
  ["a carriage return", "refused\rprocessed", "refused\\u000dprocessed"],
  ["a backspace", "evt_1\b2", "evt_1\\u00082"],
  [
    "marks that reorder text",
    "\u202egpj.\u202c \u2066a\u2069 \u200f\u061c",
    "\\u202egpj.\\u202c \\u2066a\\u2069 \\u200f\\u061c",
  ],
  ["invisible characters", "evt\u200b_1\ufeff\u00ad\u2060", "evt\\u200b_1\\ufeff\\u00ad\\u2060"],
  ["invisible characters beyond 16 bits", "a\u{e0041}", "a\\u{e0041}"],
  ["separators of lines", "a\u2028b\u2029c\u0085d", "a\\u2028b\\u2029c\\u0085d"],
  ["half of a surrogate pair", "a\ud800b", "a\\ud800b"],
  [
    "line breaks, indented",
    "first\r\nsecond\n12:00:00 INFO: processed",
    "first\n    second\n    12:00:00 INFO: processed",
  ],
])("%s", (_, text, shown) => {
  expect(visible(text)).toBe(shown);
});

test.each([
  ["plain text", "evt_1 é 日本 🐙 \\n\t\n", "evt_1 é 日本 🐙 \\\\n\\t\\n"],
  ["controls that JSON leaves", "\u007f\u009b31m\u0085", "\\u007f\\u009b31m\\u0085"],
  ["marks that reorder text", "\u202egpj.\u2069", "\\u202egpj.\\u2069"],
  ["invisible characters", "a\u200b\u{e0041}", "a\\u200b\\udb40\\udc41"],
])("JSON keeps its content and shows %s", (_, text, shown) => {
  const line = visibleJson(`${JSON.stringify({ text })}\n`);
  expect(line).toBe(`{"text":"${shown}"}\n`);
  expect(JSON.parse(line)).toEqual({ text });
});

test("a readable log line shows ids, types, errors and other fields as text", () => {
  expect(
    readableLine({
      msg: "delivery",
      outcome: "failed",
      source: "default",
      event: "evt_\u202e1",
      type: "paid\u2066",
      handler: "handlers/default/_any.ts",
      ms: 1,
      code: "handler_error",
      cause: "\u001b[2J\nno",
    }),
  ).toBe("failed     default  evt_\\u202e1  paid\\u2066  → _any.ts  1 ms  handler_error: \\u001b[2J\n    no");
  expect(readableLine({ msg: "said\u001b[2J", args: ["\u009b", "\u202e"], owed: [{ type: "\u202e" }] })).toBe(
    'said\\u001b[2J (args: ["\\u009b","\\u202e"], owed: \\u202e)',
  );
});
