import { describe, expect, test } from "bun:test";
import { compileUrlTemplate } from "../../src/outbox/url-template.ts";
import { message } from "./receivers.ts";

const fill = (template: string, payload: unknown, source = "shop") =>
  compileUrlTemplate(template).urlFor({
    ...message,
    source,
    payloadJson: typeof payload === "string" ? payload : JSON.stringify(payload),
  });

const value = (it: unknown) => fill("http://app.test/in/{body:$.v}", { v: it });

describe("a value", () => {
  test.each<[unknown, string]>([
    ["plain", "plain"],
    ["a b", "a%20b"],
    ["a/../b", "a%2F..%2Fb"],
    ["..%2f", "..%252f"],
    ["%2e%2e", "%252e%252e"],
    ["...", "..."],
    ["?x=1#y&z", "%3Fx%3D1%23y%26z"],
    ["\\\\host\\x", "%5C%5Chost%5Cx"],
    ["@evil.test:80", "%40evil.test%3A80"],
    ["a\r\nHost: x\0\t", "a%0D%0AHost%3A%20x%00%09"],
    ["ü€😀", "%C3%BC%E2%82%AC%F0%9F%98%80"],
    ["{source}", "%7Bsource%7D"],
    [0, "0"],
    [-1.5, "-1.5"],
    [true, "true"],
    [false, "false"],
  ])("%p is one segment", (it, segment) => {
    expect(value(it)).toEqual({ url: `http://app.test/in/${segment}` });
    // The URL parser leaves it in its place.
    expect(new URL(`http://app.test/in/${segment}`).pathname.split("/")).toHaveLength(3);
  });

  test("keeps each digit of a number", () => {
    expect(fill("http://app.test/{body:$.id}", '{"id":9007199254740993}')).toEqual({
      url: "http://app.test/9007199254740993",
    });
    expect(fill("http://app.test/{body:$.id}", '{"id":1.50}')).toEqual({ url: "http://app.test/1.50" });
  });

  test.each<[unknown, string]>([
    ["", "the value is empty"],
    [".", '"." cannot be a part of a URL'],
    ["..", '".." cannot be a part of a URL'],
    ["\uD800", "the value has half of a surrogate pair"],
    [null, "the message has no such text or number"],
    [undefined, "the message has no such text or number"],
    [{}, "the message has no such text or number"],
    [[1], "the message has no such text or number"],
  ])("%p gives no URL", (it, problem) => {
    expect(value(it)).toEqual({ problem: `The URL needs {body:$.v}, but ${problem}.` });
  });

  test("is missing in a message without a payload", () => {
    const { urlFor } = compileUrlTemplate("http://app.test/{body:$.v}");
    expect(urlFor({ ...message, payloadJson: null })).toEqual({
      problem: "The URL needs {body:$.v}, but the message has no such text or number.",
    });
  });

  test("is not read from what every object inherits", () => {
    expect(fill("http://app.test/{body:$.constructor.name}", {})).toHaveProperty("problem");
  });
});

test("the source and several paths are filled in, in the path and in the query", () => {
  const template =
    "https://app.test:8443/{source}/{body:$.a['x y'][0]}-{body:$.b}.json?k={body:$.b}&{source}";
  expect(fill(template, { a: { "x y": ["ä"] }, b: 7 }, "my shop")).toEqual({
    url: "https://app.test:8443/my%20shop/%C3%A4-7.json?k=7&my%20shop",
  });
});

test("a message of another process has no source", () => {
  expect(fill("http://app.test/{source}", {}, "")).toEqual({
    problem: "The URL needs {source}, but the value is empty.",
  });
});

test("the host and the port do not depend on the message", () => {
  const { example } = compileUrlTemplate("HTTPS://App.Test:8443/{source}");
  expect([example.protocol, example.hostname, example.port]).toEqual(["https:", "app.test", "8443"]);
});

test("a path that cannot be read is refused", () => {
  expect(() => compileUrlTemplate("http://app.test/{body:nope}")).toThrow("body:nope");
});
