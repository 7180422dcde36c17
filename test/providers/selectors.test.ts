import { describe, expect, test } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import { compileSelector, type Selector } from "../../src/providers/body/selector.ts";
import { refusedStart } from "../support/test-inbox.ts";

const from = {
  body: "",
  headers: { "x-github-event": "issues", "x-empty": "", "x-zero": "0" },
  payload: JSON.parse(`{
    "id": "evt_1", "action": "opened", "count": 0, "no": false, "nothing": null, "empty": "",
    "data": { "object": { "id": "in_1", "event id": "spaced", "a.b": "dotted", "it's": "quoted", "ключ": "cyrillic", "snake_case": "s", "kebab-case": "k", "$dollar": "d" } },
    "items": [{ "id": "first" }, { "id": "second" }],
    "matrix": [[1, 2], [3, 4]],
    "__proto__": { "own": "this is the body's" },
    "0": "zero"
  }`) as unknown,
};

const join = (parts: string[], separator = "."): Selector => ({ join: parts, with: separator });

describe("a selector finds", () => {
  /**
   * `found` if a missing part makes the value missing, as in an id. `asType` if it is left out, as in a type.
   */
  const scenarios: { selector: Selector; found: unknown; asType?: unknown }[] = [
    { selector: "header:x-github-event", found: "issues" },
    { selector: "header:X-GitHub-Event", found: "issues" },
    { selector: "header:x-zero", found: "0" },
    { selector: "header:x-empty", found: undefined },
    { selector: "header:x-absent", found: undefined },
    { selector: "header:constructor", found: undefined },
    { selector: "header:__proto__", found: undefined },
    { selector: "body:$.id", found: "evt_1" },
    { selector: "body:$.data.object.id", found: "in_1" },
    { selector: "body:$['data']['object'][\"id\"]", found: "in_1" },
    { selector: "body:$.data.object['event id']", found: "spaced" },
    { selector: "body:$.data.object['a.b']", found: "dotted" },
    { selector: 'body:$.data.object["it\'s"]', found: "quoted" },
    { selector: "body:$.data.object.ключ", found: "cyrillic" },
    { selector: "body:$.data.object.snake_case", found: "s" },
    { selector: "body:$.data.object.kebab-case", found: "k" },
    { selector: "body:$.data.object.$dollar", found: "d" },
    { selector: "body:$.items[0].id", found: "first" },
    { selector: "body:$.items[1]['id']", found: "second" },
    { selector: "body:$.items[2].id", found: undefined },
    { selector: "body:$.matrix[1][0]", found: 3 },
    { selector: "body:$['0']", found: "zero" },
    { selector: "body:$[0]", found: "zero" },
    { selector: "body:$.count", found: 0 },
    { selector: "body:$.no", found: false },
    { selector: "body:$.empty", found: "" },
    { selector: "body:$.nothing", found: undefined },
    { selector: "body:$.nothing.at.all", found: undefined },
    { selector: "body:$.id.length", found: undefined },
    { selector: "body:$.items.length", found: 2 },
    // Own properties only.
    { selector: "body:$.constructor", found: undefined },
    { selector: "body:$.constructor.name", found: undefined },
    { selector: "body:$.toString", found: undefined },
    { selector: "body:$.data.__proto__", found: undefined },
    { selector: "body:$.__proto__.own", found: "this is the body's" },
    { selector: "body:$.__proto__.toString", found: undefined },
    { selector: "body:$.items.constructor", found: undefined },
    { selector: "body:$.id.constructor", found: undefined },
    // The last name of the path, if its value is there and not false.
    { selector: "key:$.data", found: "data" },
    { selector: "key:$.data.absent", found: undefined },
    { selector: "key:$.nothing", found: undefined },
    { selector: "key:$.no", found: undefined },
    // A list: the first that is present.
    { selector: ["body:$.absent", "body:$.nothing", "header:x-empty", "body:$.id"], found: "evt_1" },
    { selector: ["body:$.count", "body:$.id"], found: 0 },
    { selector: ["body:$.absent", ["body:$.also_absent", "body:$.action"]], found: "opened" },
    { selector: ["body:$.absent", "header:x-absent"], found: undefined },
    { selector: [join(["body:$.absent", "body:$.id"]), "body:$.action"], found: "opened", asType: "evt_1" },
    // A join: a missing part is left out of a type, and makes an id missing.
    { selector: join(["header:x-github-event", "body:$.action"]), found: "issues.opened" },
    { selector: join(["header:x-github-event", "body:$.absent"]), found: undefined, asType: "issues" },
    { selector: join(["body:$.absent", "body:$.action"]), found: undefined, asType: "opened" },
    { selector: join(["body:$.absent", "header:x-absent"]), found: undefined },
    {
      selector: join(["body:$.id", "body:$.data", "body:$.action"]),
      found: undefined,
      asType: "evt_1.opened",
    },
    { selector: join(["body:$.id", "body:$.no"]), found: undefined, asType: "evt_1" },
    { selector: join(["body:$.id"], "/"), found: "evt_1" },
  ];

  test.each(scenarios.map((row) => [JSON.stringify(row.selector), row] as const))("%s", (_, row) => {
    expect(compileSelector(row.selector, "absent")(from)).toEqual(row.found);
    expect(compileSelector(row.selector, "skip")(from)).toEqual("asType" in row ? row.asType : row.found);
  });

  test("two parts of a type without a separator; an id must have one", () => {
    const glued = join(["body:$.id", "body:$.action"], "");
    expect(compileSelector(glued, "skip")(from)).toBe("evt_1opened");
    expect(() => compileSelector(glued, "absent")).toThrow('with = "" cannot separate the parts of an id');
  });

  test("nothing in a payload that is not an object", () => {
    for (const payload of [null, undefined, 1, "text", true, []]) {
      expect(compileSelector("body:$.id", "absent")({ headers: {}, payload, body: "" })).toBeUndefined();
      expect(
        compileSelector("body:$.constructor.name", "absent")({ headers: {}, payload, body: "" }),
      ).toBeUndefined();
    }
    // `$` is the payload itself.
    expect(compileSelector("body:$", "absent")({ headers: {}, payload: "evt_1", body: "" })).toBe("evt_1");
  });
});

describe("refuses to start with a selector that cannot be read", () => {
  const unreadable = [
    "body:$.",
    "body:$..id",
    "body:id",
    "body:",
    "body:$.a b",
    "body:$.items[]",
    "body:$.items[-1]",
    "body:$.items[*]",
    "body:$['open",
    "body:$['a'b']",
    "body:$.a[0",
    "header:",
    "header:x y",
    "header:x:y",
  ];

  test.each(unreadable)("%s", (selector) => {
    for (const wrong of [selector, ["body:$.id", selector], join(["body:$.id", selector])]) {
      expect(() => compileSelector(wrong, "absent")).toThrow(HookonceError);
      expect(() => compileSelector(wrong, "absent")).toThrow(`"${selector}" is not a path: write`);
    }
  });

  test.each([
    [
      '"$.id"',
      /^sources\.a\.event_id: "\$\.id" is not a path: write header:name, query:name, body:\$\.path, key:\$\.path, sha256:body, sha256:body:\$\.path or new:delivery\.$/,
    ],
    ['"cookie:id"', /^sources\.a\.event_id: "cookie:id" is not a path: write header:name/],
    ["1", /^sources\.a\.event_id: write "header:name"/],
    ['{ join = [], with = "." }', /^sources\.a\.event_id\.join is an empty list$/],
    ['{ join = ["body:$.id"] }', /^sources\.a\.event_id: write "header:name"/],
    [
      '{ join = ["body:$.id"], with = ".", by = "." }',
      /^sources\.a\.event_id\.by is not a key; choose from join, with$/,
    ],
  ])("event_id = %s", async (selector, message) => {
    const error = await refusedStart({
      config: `[sources.a]\nprovider = "unsigned"\ntype = "body:$.type"\nevent_id = ${selector}\n`,
    });
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]).toMatchObject({ file: "hookonce.toml", line: 5 });
    expect(error.problems[0]?.message).toMatch(message);
  });
});

test.each([
  ['{"a":1,"n":2}', '{"a":1}'],
  ['{"n":2,"a":1}', '{"a":1}'],
  ['{ "a" : 1 , "n" : {"x":[",\\""]} , "b" : 2 }', '{ "a" : 1 , "b" : 2 }'],
  ['{"n":"2"}', "{}"],
  ['{"a":{"n":1}}', '{"a":{"n":1}}'],
  ['{"a":1, "n":"2" }', '{"a":1 }'],
])("the hash of %s without n is that of %s", (json, without) => {
  const read = compileSelector({ hash_without: ["body:$.n"] }, "absent");
  const body = { headers: {}, payload: JSON.parse(json) as unknown, json, body: json };
  expect(read(body)).toBe(new Bun.CryptoHasher("sha256").update(without).digest("hex"));
});
