import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { createDeliveryMasking } from "../../src/providers/mask-delivery.ts";
import { providers } from "../../src/providers/presets.ts";
import { createSource, type SourceSettings } from "../../src/providers/source.ts";

/** `hookonce listen --redact`: no masked value goes out, whatever the shape of a delivery. */

function settingsOf(provider: string, more: Partial<SourceSettings> = {}): SourceSettings {
  const preset = providers.get(provider);
  if (preset === undefined) throw new Error(`no preset ${provider}`);
  return { name: "shop", provider: preset, secrets: [], ...more };
}

interface Given {
  readonly body: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly id: string;
}

function mask(settings: SourceSettings, paths: readonly string[], { body, headers = {}, id }: Given) {
  const source = createSource({ ...settings, receives: false, publicUrl: "https://x.example/" }, Date.now);
  const stored = {
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? Buffer.from(body) : body,
  };
  return createDeliveryMasking(
    settings,
    paths,
    source,
  )({
    id: "msg_1",
    attempt: 1,
    kind: "event",
    source: "shop",
    eventId: id,
    type: "x",
    receivedAt: 1,
    ...stored,
    payloadJson: (source.payloadOf(stored, id) ?? { json: Buffer.from(stored.body).toString() }).json,
  });
}

const own = { eventId: "body:$.id" as const, type: "body:$.type" as const };

/** The body of what goes out, or why nothing does. */
function sent(made: ReturnType<typeof mask>): unknown {
  if ("problem" in made) return made.problem;
  const text = Buffer.from(made.message.body).toString();
  return text.startsWith("{") || text.startsWith("[") ? (JSON.parse(text) as unknown) : text;
}

test("masks values of any kind, and keeps every other byte of a number", () => {
  const body = `{"id":"1","n":9007199254740993,"user":{"mail":"ada@private.example","name":"Ada","age":7}}`;
  const made = mask(settingsOf("unsigned", own), ["body:$.user", "body:$.none"], { body, id: "1" });
  if ("problem" in made) throw new Error(made.problem);
  expect(Buffer.from(made.message.body).toString()).toBe(
    `{"id":"1","n":9007199254740993,"user":{"mail":"masked@example.com","name":"masked","age":0}}`,
  );
  expect(made.found).toEqual(["body:$.user"]);
});

test("an event in which no path finds anything keeps its bytes", () => {
  const body = `{ "id": "1" }`;
  const made = mask(settingsOf("unsigned", own), ["body:$.none"], { body, id: "1" });
  expect(made).toMatchObject({ found: [], message: { body: Buffer.from(body) } });
});

test("a compressed body and a field of a form are masked", () => {
  const body = gzipSync(`{"id":"1","mail":"ada@private.example"}`);
  const headers = { "content-encoding": "gzip" };
  const made = mask(settingsOf("unsigned", own), ["body:$.mail"], { body, headers, id: "1" });
  expect(sent(made)).toEqual({ id: "1", mail: "masked@example.com" });
  if ("problem" in made) throw new Error(made.problem);
  expect(made.message.headers).toEqual({ "content-type": "application/json" });
  const form = mask(settingsOf("unsigned", own), ["body:$.mail"], {
    body: "id=1&mail=ada%40private.example",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    id: "1",
  });
  expect(sent(form)).toBe("id=1&mail=masked%40example.com");
});

test("an event of several goes out alone, and its own values are masked", () => {
  const body = JSON.stringify({
    object: "page",
    entry: [
      { id: "1", mail: "ada@private.example" },
      { id: "2", mail: "bob@private.example" },
    ],
  });
  const batch = ["body:$.entry[*]"] as const;
  const settings = settingsOf("unsigned", { ...own, batch });
  expect(sent(mask(settings, ["body:$.mail"], { body, id: "2" }))).toEqual({
    object: "page",
    entry: [{ id: "2", mail: "masked@example.com" }],
  });
});

test("an event at the end of a path behind the list is masked", () => {
  const body = JSON.stringify({
    live: "false",
    items: [
      { item: { id: "1", mail: "ada@private.example" } },
      { item: { id: "2", mail: "bob@private.example" } },
    ],
  });
  const settings = settingsOf("unsigned", { ...own, batch: ["body:$.items[*].item"] });
  expect(sent(mask(settings, ["body:$.mail"], { body, id: "1" }))).toEqual({
    live: "false",
    items: [{ item: { id: "1", mail: "masked@example.com" } }],
  });
});

test("an event with a list in a list is masked or kept back, and never goes out as it is", () => {
  const body = JSON.stringify({
    entry: [
      {
        page: "p",
        changes: [
          { value: { id: "1", mail: "ada@private.example" } },
          { value: { id: "2", mail: "bob@private.example" } },
        ],
      },
    ],
  });
  const inner = { eventId: "body:$.changes[0].value.id" as const, type: "body:$.type" as const };
  const whole = settingsOf("unsigned", { ...inner, batch: ["body:$.entry[*].changes[*]"] });
  expect(sent(mask(whole, ["body:$.changes[0].value.mail"], { body, id: "2" }))).toEqual({
    entry: [{ page: "p", changes: [{ value: { id: "2", mail: "masked@example.com" } }] }],
  });
  const ends = { eventId: "body:$.changes[0].id" as const, type: "body:$.type" as const };
  const behind = settingsOf("unsigned", { ...ends, batch: ["body:$.entry[*].changes[*].value"] });
  const made = mask(behind, ["body:$.changes[0].mail"], { body, id: "1" });
  expect(JSON.stringify(sent(made))).not.toContain("private");
});

test("an event whose id is made from what is masked is kept back, and so is one without a payload", () => {
  const why = "its id is made from what is masked, so it would be another event";
  const hashed = settingsOf("unsigned", { ...own, eventId: "sha256:body" });
  const body = `{"mail":"ada@private.example","type":"x"}`;
  const id = new Bun.CryptoHasher("sha256").update(body).digest("hex");
  expect(sent(mask(hashed, ["body:$.mail"], { body, id }))).toBe(why);
  expect(sent(mask(settingsOf("unsigned", own), ["body:$.id"], { body: `{"id":"1"}`, id: "1" }))).toBe(why);
  const xml = { body: "<xml/>", headers: { "content-type": "application/xml" }, id: "1" };
  const made = mask(settingsOf("unsigned", own), ["body:$.a"], xml);
  expect(sent(made)).toBe("its body is neither JSON nor a form");
});
