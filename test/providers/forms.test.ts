import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HookonceError } from "../../src/errors.ts";
import { formEntries, formFields, MAX_FIELDS } from "../../src/providers/body/form.ts";
import { refusalOf, testInbox } from "../support/test-inbox.ts";
import { leastProcessorTime } from "../support/processor-time.ts";

/**
 * A leading `&` keeps URLSearchParams from dropping a question mark, which is not part of a form's syntax.
 */
const asBrowsersRead = (text: string): [string, string][] => [...new URLSearchParams(`&${text}`)];

const piece = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "grapheme", maxLength: 4 }).map(encodeURIComponent),
  fc.constantFrom("=", "&", "+", "%", "%4", "%zz", "%2B", "%2b", "%25", "%00", "?", "__proto__", "\ufeff"),
);

test("reads fields as browsers do", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("").toWellFormed();
      let read: [string, string][];
      try {
        read = formEntries(text);
      } catch (error) {
        // A form that browsers read with replacement characters.
        expect((error as HookonceError).code).toBe("invalid_utf8");
        expect(JSON.stringify(asBrowsersRead(text))).toContain("\ufffd");
        return;
      }
      expect(read).toEqual(asBrowsersRead(text));
    }),
    { numRuns: 2000 },
  );
});

describe("a field that occurs more than once", () => {
  test("becomes an array in the order of the form", () => {
    expect(formFields("a=1&b=2&a=3&a=4&a")).toEqual({ a: ["1", "3", "4", ""], b: "2" });
  });

  test("does not reach what every object inherits", () => {
    const fields = formFields("__proto__=x&__proto__=y&constructor=z");
    expect(Object.entries(fields)).toEqual([
      ["__proto__", ["x", "y"]],
      ["constructor", "z"],
    ]);
  });
});

describe("a form", () => {
  test("may have 1,000 fields", () => {
    const text = Array.from({ length: MAX_FIELDS }, (_, n) => `f${n}=v${n}`).join("&");
    expect(Object.keys(formFields(text))).toHaveLength(1000);
  });

  test.each([
    ["1,001 fields", Array.from({ length: MAX_FIELDS + 1 }, (_, n) => `f${n}=v`).join("&")],
    ["one field a million times", "a&".repeat(1_000_000)],
    ["a million empty fields", "&".repeat(1_000_000)],
  ])("with %s is refused before it is read", async (_, text) => {
    const refuse = () => refusalOf(() => formFields(text));
    expect((await refuse()).code).toBe("too_many_fields");
    // It takes 0.1 ms. Reading all of them took 10 s and more.
    expect(await leastProcessorTime(refuse, 5, 100)).toBeLessThan(250);
  });

  test("with escapes that are not UTF-8 is refused", async () => {
    for (const text of ["a=%FE", "%C3=x", "a=%ED%A0%80", "a=1&b=%F0%9F"])
      expect((await refusalOf(() => formEntries(text))).code).toBe("invalid_utf8");
  });
});

test("a missing id says that the body was read as a form, if the id is in the body", async () => {
  await using inbox = await testInbox({
    config: `[sources.default]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\n[sources.other]\nprovider = "unsigned"\nevent_id = "header:x-id"\ntype = "body:$.type"\n`,
  });
  const refusal = async (path: string, type: string): Promise<unknown> => {
    const headers = { "content-type": type };
    const answer = await inbox.request(path, { method: "POST", headers, body: "event=evt_1" });
    expect(answer.status).toBe(400);
    return ((await answer.json()) as { error: { message: string } }).error.message;
  };
  const form = "application/x-www-form-urlencoded";
  expect(await refusal("/webhook", form)).toContain("read as a form, because its Content-Type says");
  expect(await refusal("/webhook/other", form)).not.toContain("form");
  expect(await refusal("/webhook", "application/json")).not.toContain("form");
});
