import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { providers } from "../../src/providers/presets.ts";
import type { Redacted } from "../../src/providers/redact.ts";
import { createSource, type SourceSettings } from "../../src/providers/source.ts";
import { refusalOf } from "../support/test-inbox.ts";

const UNSIGNED = { provider: "unsigned", eventId: "body:$.id", type: "body:$.type", allowPublic: true };

interface Given extends Partial<Omit<SourceSettings, "provider">> {
  readonly provider?: string;
}

function sourceWith({ provider: name = "unsigned", ...settings }: Given) {
  const provider = providers.get(name);
  if (provider === undefined) throw new Error(`there is no provider ${name}`);
  const own = name === "unsigned" ? { ...UNSIGNED, provider } : { provider };
  return createSource({ name: "shop", secrets: ["publickey:privatekey"], ...own, ...settings }, Date.now);
}

/** @returns undefined if nothing was replaced */
function redacted(
  redact: readonly string[],
  body: string | Uint8Array,
  headers: Record<string, string> = { "content-type": "application/json" },
  given: Given = {},
): Redacted | undefined {
  const { redaction } = sourceWith({ ...given, redact });
  return redaction?.replace({ headers, body: typeof body === "string" ? Buffer.from(body) : body }, false);
}

const part = (head: string, text: string): string =>
  `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${text}\r\n`;

const textOf = (found: Redacted | undefined): string | undefined =>
  found && Buffer.from(found.body).toString();

describe("in JSON", () => {
  const scenarios: [name: string, redact: string[], before: string, after: string, replaced: number][] = [
    [
      "a text, with everything else byte for byte",
      ["body:$.a.b"],
      ' {"n": 1.50, "big":9007199254740993, "a" : {"b" : "x\\"y" , "c":"\\u00e9é"}, "d":1e3 }\n',
      ' {"n": 1.50, "big":9007199254740993, "a" : {"b" : "[redacted]" , "c":"\\u00e9é"}, "d":1e3 }\n',
      1,
    ],
    ["an object", ["body:$.a"], '{"a":{"b":[1,{"c":"}"}]},"d":1}', '{"a":"[redacted]","d":1}', 1],
    ["a number", ["body:$.a"], '{"a":-1.5e3 ,"d":1}', '{"a":"[redacted]" ,"d":1}', 1],
    ["true", ["body:$.a"], '{"a":true}', '{"a":"[redacted]"}', 1],
    ["an element", ["body:$.a[1]"], '{"a":[1, 2, 3]}', '{"a":[1, "[redacted]", 3]}', 1],
    ["every element", ["body:$.a[*]"], '{"a":[1, "b", null]}', '{"a":["[redacted]", "[redacted]", null]}', 2],
    [
      "a value in every element of nested lists",
      ["body:$.a[*].b[*].c"],
      '{"a":[{"b":[{"c":1},{"d":2}]},{"b":[]},{"b":[{"c":3,"d":4}]}]}',
      '{"a":[{"b":[{"c":"[redacted]"},{"d":2}]},{"b":[]},{"b":[{"c":"[redacted]","d":4}]}]}',
      2,
    ],
    [
      "each value of a name that occurs twice",
      ["body:$.a"],
      '{"a":1,"b":2,"a":3}',
      '{"a":"[redacted]","b":2,"a":"[redacted]"}',
      2,
    ],
    [
      "a name that is written with escapes",
      ["body:$.née"],
      '{"n\\u00e9e":"x"}',
      '{"n\\u00e9e":"[redacted]"}',
      1,
    ],
    ["a name in brackets", ["body:$['a b'].c"], '{"a b":{"c":"x"}}', '{"a b":{"c":"[redacted]"}}', 1],
    ["__proto__", ["body:$.__proto__.a"], '{"__proto__":{"a":"x"}}', '{"__proto__":{"a":"[redacted]"}}', 1],
    [
      "an outer value, if an inner one is named as well",
      ["body:$.a.b", "body:$.a"],
      '{"a":{"b":1}}',
      '{"a":"[redacted]"}',
      1,
    ],
    ["after a byte order mark", ["body:$.a"], '\ufeff{"a":"x"}', '\ufeff{"a":"[redacted]"}', 1],
  ];
  test.each(scenarios)("%s", (_, redact, before, after, replaced) => {
    const found = redacted(redact, before);
    expect(textOf(found)).toBe(after);
    expect(found?.replaced).toBe(replaced);
    // What was replaced stays.
    expect(redacted(redact, after)).toBeUndefined();
  });

  test.each([
    ["a missing value", ["body:$.a.b"], '{"a":{}}'],
    ["a value in a text", ["body:$.a.b"], '{"a":"b"}'],
    ["null", ["body:$.a"], '{"a":null}'],
    ["an index of an object, or [*] of one", ["body:$.a[*]"], '{"a":{"b":1}}'],
    ["an inherited name", ["body:$.toString"], "{}"],
    ["an empty body", ["body:$.a"], ""],
  ])("%s changes nothing", (_, redact, body) => {
    expect(redacted(redact, body)).toBeUndefined();
  });
});

describe("in other bodies", () => {
  const FORM = { "content-type": "application/x-www-form-urlencoded" };

  test("fields of a form, with every other field byte for byte", () => {
    const found = redacted(["body:$.From"], "A=%7e+1&From=%2B49+151&B&From=x&C=1", FORM);
    expect(textOf(found)).toBe("A=%7e+1&From=%5Bredacted%5D&B&From=%5Bredacted%5D&C=1");
    expect(found?.replaced).toBe(2);
    expect(textOf(redacted(["body:$.a[1]"], "a=1&a=2", FORM))).toBe("a=1&a=%5Bredacted%5D");
    expect(redacted(["body:$.a"], "b=1", FORM)).toBeUndefined();
  });

  test("the JSON in a form's field", () => {
    const given = { provider: "github" };
    const body = new URLSearchParams({
      a: "ä",
      payload: '{"sender": {"email":"a@b.c"}, "n":1.0}',
    }).toString();
    const found = redacted(["body:$.sender.email"], body, FORM, given);
    expect([...new URLSearchParams(textOf(found))]).toEqual([
      ["a", "ä"],
      ["payload", '{"sender": {"email":"[redacted]"}, "n":1.0}'],
    ]);
  });

  test("parts of a multipart body: a field, and a file with its name", () => {
    const headers = { "content-type": 'multipart/form-data; boundary="b"' };
    const body = `${part('name="from"', "Jenny")}${part('name="id"', "1")}${part('name="cv"; filename="jenny.pdf"', "%PDF")}--b--\r\n`;
    const found = redacted(["body:$.from", "body:$.cv"], body, headers);
    expect(textOf(found)).toBe(
      `${part('name="from"', "[redacted]")}${part('name="id"', "1")}${part('name="cv"', "[redacted]")}--b--\r\n`,
    );
  });

  test("a compressed one, which is stored without its compression", () => {
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const found = redacted(["body:$.a"], gzipSync('{"a":"x"}'), headers);
    expect(found?.headers).toEqual({ "content-type": "application/json" });
    expect(textOf(found)).toBe('{"a":"[redacted]"}');
    expect(redacted(["body:$.b"], gzipSync('{"a":"x"}'), headers)).toBeUndefined();
  });

  test.each([
    ["XML", "<a>jenny</a>", { "content-type": "application/xml" }],
    ["broken JSON", '{"a":"jenny"', { "content-type": "application/json" }],
    [
      "bytes that are not UTF-8",
      Buffer.from('{"a":"\xff"}', "latin1"),
      { "content-type": "application/json" },
    ],
    ["what should be gzip and is not", "jenny", { "content-encoding": "gzip" }],
    ["a multipart body without its boundary", "jenny", { "content-type": "multipart/form-data" }],
  ])("%s is replaced as a whole", (_, body, headers) => {
    const found = redacted(["body:$.a"], body, headers);
    expect(textOf(found)).toBe("[redacted]");
    expect(found?.headers).not.toHaveProperty("content-encoding");
    expect(redacted(["body:$.a"], "[redacted]", headers)).toBeUndefined();
    // Nothing in it was named.
    expect(redacted(["header:x-a"], body, headers)).toBeUndefined();
  });

  test("an event's own part of a batch is JSON, whatever the headers of its delivery say", () => {
    const { redaction } = sourceWith({ batch: ["body:$[*]"], redact: ["body:$.a"] });
    const headers = { "content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip" };
    const found = redaction?.replace({ headers, body: Buffer.from('{"id":"1","a":"x"}') }, true);
    expect(textOf(found)).toBe('{"id":"1","a":"[redacted]"}');
  });
});

test("a header, whatever the case of its name in the config, and nothing else", () => {
  const found = redacted(["header:X-Name"], "{}", { "x-name": "Jenny", "x-other": "Jenny" });
  expect(found).toMatchObject({ headers: { "x-name": "[redacted]", "x-other": "Jenny" }, replaced: 1 });
});

test("a parameter of the query, as it is kept and in URLs that a proxy adds", () => {
  const found = redacted(["query:to[]"], "{}", {
    "query:to[]": "Jenny",
    "x-original-uri": "/webhook?to%5B%5D=Jenny&b=to[]",
    referer: "https://example.com/?a=1&to[]=Jenny#x",
  });
  expect(found?.headers).toEqual({
    "query:to[]": "[redacted]",
    "x-original-uri": "/webhook?to%5B%5D=[redacted]&b=to[]",
    referer: "https://example.com/?a=1&to[]=[redacted]#x",
  });
});

describe("a path in redact is refused", () => {
  test.each([
    [
      "body:$.id",
      {},
      'event_id reads, so that it is kept in any case: remove it from redact, or write event_id = "sha256:body:$.id"',
    ],
    ["body:$['type']", {}, "type reads, so that it is kept"],
    ["header:X-Id", { eventId: ["header:x-id", "sha256:body"] }, "event_id reads"],
    [
      "body:$.n",
      { newestWins: [{ types: ["*"], key: "body:$.k", version: "body:$.n", ties: "apply" as const }] },
      "newest_wins reads",
    ],
    ["body:$.subscription.id", { provider: "braintree" }, "Braintree's payload is XML in base64"],
    ["body:$", {}, "is not a path"],
    ["body:$.a.[*]", {}, "is not a path"],
    ["cookie:a", {}, "is not a path: write body:$.path, header:name or query:name"],
  ])("%s", async (path, given, message) => {
    const refused = await refusalOf(() => sourceWith({ ...given, redact: [path] }));
    expect(refused.code).toBe("config_invalid");
    expect(refused.message).toContain(message);
  });

  test("but not the value of which event_id takes a hash", () => {
    expect(sourceWith({ eventId: "sha256:body:$.email", redact: ["body:$.email"] }).redaction).toBeDefined();
  });

  test("a parameter that is the payload of a delivery by GET", async () => {
    const name = [...providers.values()].find(({ deliversByGet }) => deliversByGet === true)?.name ?? "";
    const given = { provider: name, redact: ["query:From"], publicUrl: "https://shop.example/webhook" };
    const { message } = await refusalOf(() => sourceWith(given));
    expect(message).toContain('write "body:$.From"');
  });
});
