import { describe, expect, test } from "bun:test";
import { testInFullRun } from "../crash/requirements.ts";
import { compileBatch } from "../../src/providers/body/batch.ts";
import { HookonceError } from "../../src/errors.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { NOW } from "./signed-inbox.ts";

function split(paths: string[], payload: unknown): unknown {
  const json = JSON.stringify(payload);
  return compileBatch(paths)({ payload, json, problem: null })?.map((one) => one.payload);
}

describe("a path splits a body into events", () => {
  const rows: { name: string; paths: string[]; payload: unknown; events: unknown }[] = [
    {
      name: "one list: each element is an event",
      paths: ["body:$.events[*]"],
      payload: { events: [{ id: 1 }, { id: 2 }], other: 1 },
      events: [{ id: 1 }, { id: 2 }],
    },
    {
      name: "a path that continues after the list: its value is the event",
      paths: ["body:$.items[*].event"],
      payload: { items: [{ event: { id: 1 } }] },
      events: [{ id: 1 }],
    },
    {
      name: "a list in a list: the outer element with one inner element",
      paths: ["body:$.entry[*].changes[*]"],
      payload: { entry: [{ id: "a", changes: [1, 2] }] },
      events: [
        { id: "a", changes: [1] },
        { id: "a", changes: [2] },
      ],
    },
    {
      name: "three lists with objects between them",
      paths: ["body:$.a[*].b[*].v.c[*]"],
      payload: { a: [{ x: 1, b: [{ y: 2, v: { z: 3, c: [4, 5] } }, { y: 6 }] }] },
      events: [
        { x: 1, b: [{ y: 2, v: { z: 3, c: [4] } }] },
        { x: 1, b: [{ y: 2, v: { z: 3, c: [5] } }] },
        { x: 1, b: [{ y: 6 }] },
      ],
    },
    {
      name: "two lists in one element: no event contains the other list",
      paths: ["body:$.a[*].b[*]", "body:$.a[*].c[*]"],
      payload: { a: [{ id: 1, b: [2], c: [3] }] },
      events: [
        { id: 1, b: [2] },
        { id: 1, c: [3] },
      ],
    },
    {
      name: "an element without the inner list, or with an empty one: the element is the event",
      paths: ["body:$.a[*].b[*]"],
      payload: { a: [{ id: 1 }, { id: 2, b: [] }, 7] },
      events: [{ id: 1 }, { id: 2, b: [] }, 7],
    },
    {
      name: "an element without the value that the path continues to: the element is the event",
      paths: ["body:$.a[*].b"],
      payload: { a: [{ b: 1 }, { c: 2 }] },
      events: [1, { c: 2 }],
    },
    {
      name: "a name that every object inherits",
      paths: ["body:$.a[*].__proto__[*]"],
      payload: JSON.parse('{"a":[{"id":1,"__proto__":[2,3]}]}'),
      events: [JSON.parse('{"id":1,"__proto__":[2]}'), JSON.parse('{"id":1,"__proto__":[3]}')],
    },
    { name: "an empty list: no events", paths: ["body:$.a[*].b[*]"], payload: { a: [] }, events: [] },
    {
      name: "no list: the body is not a batch",
      paths: ["body:$.a[*].b[*]"],
      payload: { a: {} },
      events: undefined,
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, { paths, payload, events }) => {
    expect(split(paths, payload)).toEqual(events);
  });

  testInFullRun("refuses a body whose enclosing values would be repeated too often", () => {
    const payload = { a: [{ x: "x".repeat(100_000), b: Array.from({ length: 1000 }, (_, n) => n) }] };
    expect(() => split(["body:$.a[*].b[*]"], payload)).toThrow("repeats what encloses it");
  });
});

const change = (value: object) => ({
  id: "waba",
  changes: [{ field: "messages", value: { metadata: { phone_number_id: "7" }, ...value } }],
});

describe("Meta", () => {
  const meta = createSource(
    { name: "meta", provider: providers.get("meta") as Provider, secrets: ["s"] },
    () => NOW,
  );

  function eventsOf(object: string, ...entry: unknown[]): { id: string; type: string; payload: unknown }[] {
    const body = Buffer.from(JSON.stringify({ object, entry }));
    return (meta.split?.({ headers: {}, body }) ?? []).map((one) => {
      if (one instanceof HookonceError) throw one;
      return { id: one.id, type: one.type, payload: one.body.payload };
    });
  }
  const idsOf = (object: string, ...entry: unknown[]): string[] =>
    eventsOf(object, ...entry).map(({ id }) => id);

  const about = [{ field: "about", value: "Open" }];

  test("the same change of two pages is two events, and so is the same change at another time", () => {
    const [a, b] = eventsOf(
      "page",
      { id: "PAGE_A", time: 1, changes: about },
      { id: "PAGE_B", time: 1, changes: about },
    );
    expect(a?.payload).toEqual({ id: "PAGE_A", time: 1, changes: about });
    expect(a?.type).toBe("about");
    const ids = [a?.id, b?.id, ...idsOf("page", { id: "PAGE_A", time: 2, changes: about })];
    expect(new Set(ids).size).toBe(3);
    expect(idsOf("page", { id: "PAGE_A", time: 1, changes: about })).toEqual([a?.id ?? ""]);
  });

  test("an entry that only names changed fields is an event, alone and beside others", () => {
    const named = { id: "1", changed_fields: ["photos"], time: 1 };
    const [only] = eventsOf("user", named);
    expect(only).toMatchObject({ type: "changed_fields", payload: named });
    expect(idsOf("user", { id: "2", time: 1, changes: about }, named)).toContain(only?.id ?? "");
  });

  test("a deleted message is another event than the message", () => {
    const at = { sender: { id: "1" }, recipient: { id: "2" }, timestamp: 3 };
    const entry = (message: unknown) => ({ id: "2", time: 4, messaging: [{ ...at, message }] });
    expect(idsOf("instagram", entry({ mid: "m", text: "hi" }))).toEqual(["m"]);
    expect(idsOf("instagram", entry({ mid: "m", is_deleted: true }))).toEqual(["m:is_deleted"]);
    expect(eventsOf("instagram", entry({ mid: "m" }))[0]?.type).toBe("message");
    const { message: _, ...read } = { ...at, message: 0, read: { mid: "m" } };
    expect(eventsOf("page", { id: "2", time: 4, messaging: [read] })[0]?.type).toBe("read");
  });

  test("WhatsApp messages have the same ids together and one at a time", () => {
    const together = eventsOf(
      "whatsapp_business_account",
      change({ messages: [{ id: "wamid.1" }, { id: "wamid.2" }] }),
    );
    expect(together.map(({ id }) => id)).toEqual(["wamid.1", "wamid.2"]);
    expect(together[1]?.payload).toEqual(change({ messages: [{ id: "wamid.2" }] }));
    expect(idsOf("whatsapp_business_account", change({ messages: [{ id: "wamid.2" }] }))).toEqual([
      "wamid.2",
    ]);
    const statuses = [
      { id: "wamid.1", status: "sent" },
      { id: "wamid.1", status: "read" },
    ];
    expect(idsOf("whatsapp_business_account", change({ statuses }))).toEqual([
      "wamid.1:sent",
      "wamid.1:read",
    ]);
  });
});
