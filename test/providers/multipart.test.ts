import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import type { Headers } from "../../src/event.ts";
import { HookonceError } from "../../src/errors.ts";
import { MAX_FIELDS } from "../../src/providers/body/form.ts";
import { fieldsOf, newPart, partsOf, writeMultipart, type Part } from "../../src/providers/body/multipart.ts";
import { changeBody, filesOf, parseBody } from "../../src/providers/body/payload.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";
import { sign } from "../../src/providers/verifier.ts";
import { seedOf, type Example } from "../../src/simulator/example.ts";
import { requestOf } from "../../src/simulator/request.ts";
import { NOW } from "./signed-inbox.ts";
import { testInbox } from "../support/test-inbox.ts";

const withBoundary = (boundary: string): Headers => ({
  "content-type": `multipart/form-data; boundary=${boundary}`,
});
const HEADERS = withBoundary("X");

const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

/** A body of one part with these lines as its headers. */
const part = (head: string, content = "1"): string => `--X\r\n${head}\r\n\r\n${content}\r\n`;
const field = (name: string, content = "1"): string =>
  part(`Content-Disposition: form-data; name="${name}"`, content);
const END = "--X--\r\n";

function read(body: string | Uint8Array, headers = HEADERS): Part[] {
  return partsOf(headers, Buffer.from(body as string));
}

function refusalOf(body: string | Uint8Array, headers = HEADERS): string {
  try {
    read(body, headers);
    return "none";
  } catch (error) {
    return error instanceof HookonceError ? `${error.code}: ${error.message}` : String(error);
  }
}

const names = fc.oneof(
  fc.string({ maxLength: 8, unit: "grapheme" }),
  fc.constantFrom('a"b', "__proto__", "a;b", "x=1", "", " ", "name"),
);
const contents = fc.oneof(
  fc.string({ maxLength: 20, unit: "grapheme" }),
  fc.constantFrom("", "\r\n", "\r\n--", "--X", "--", "\ufeffx", "a\r\n\r\nb"),
);

/**
 * A line break is written as CRLF. Backslashes are not escaped, so they cannot be told from an escape before a
 * quotation mark.
 */
const plain = (text: string): string => text.toWellFormed().replaceAll(/[\r\n\\%\0]/g, "_");

test("reads what browsers and fetch write, as they read it", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          name: names,
          content: contents,
          file: fc.option(fc.record({ name: names, bytes: fc.uint8Array({ maxLength: 40 }) })),
        }),
        { maxLength: 8 },
      ),
      async (entries) => {
        const form = new FormData();
        for (const { name, content, file } of entries) {
          if (file === null) form.append(plain(name), plain(content));
          else form.append(plain(name), new File([new Uint8Array(file.bytes)], `f${plain(file.name)}`));
        }
        const request = new Response(form);
        const headers = { "content-type": request.headers.get("content-type") ?? "" };
        const parts = partsOf(headers, await request.bytes());
        const written = await Promise.all(
          Array.from(form.entries() as Iterable<[string, string | File]>, async ([name, value]) =>
            typeof value === "string" ? [name, value] : [name, value.name, sha256(await value.bytes())],
          ),
        );
        expect(
          parts.map(({ name, filename, text, bytes }) =>
            filename === undefined ? [name, text] : [name, filename, sha256(bytes)],
          ),
        ).toEqual(written as (string | undefined)[][]);
      },
    ),
    { numRuns: 300 },
  );
});

describe("a signed body cannot be made to say something else by another Content-Type", () => {
  const other = `--X\r\nContent-Disposition: form-data; name="id"\r\n\r\nFORGED\r\n--X--\r\n`;
  const bodies: [name: string, type: string, body: string][] = [
    [
      "a form with files",
      "multipart/form-data; boundary=X",
      `${field("mail", `&id=FORGED&type=x&\r\n--Y\r\n${other.replaceAll("--X", "--Y")}`)}${field("id", "1")}${END}`,
    ],
    ["JSON", "application/json", `{"id":1,"type":"a","mail":${JSON.stringify(other)},\r\n--X\r\n`],
    ["JSON with a form between its tokens", "application/json", `\r\n {"id":1,"mail":"&id=FORGED"}`],
    ["a URL-encoded form", "application/x-www-form-urlencoded", `id=1&mail=${encodeURIComponent(other)}`],
  ];
  const types = [
    "multipart/form-data; boundary=X",
    "multipart/form-data; boundary=Y",
    'multipart/form-data; boundary="mail"',
    "application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
    "",
  ];
  test.each(bodies)("%s", (_, type, body) => {
    for (const disguise of types) {
      if (disguise === type) continue;
      const read = parseBody({ headers: { "content-type": disguise }, body: Buffer.from(body) });
      expect(read.json ?? "").not.toMatch(/"id":"?FORGED/);
    }
  });
});

test("the simulator makes a form with files, and Mailgun's signature in its fields", async () => {
  const example: Example = {
    types: [""],
    event: ({ id }) => ({ id, subject: "Grüße" }),
    form: "fields",
    files: ({ id }) => [
      { field: "attachment-1", filename: `${id}.txt`, type: "text/plain", content: "text" },
    ],
    dashboard: "",
  };
  const provider = providers.get("mailgun") as Provider;
  const unsigned = requestOf(example, [seedOf("0".repeat(24), "", NOW)], "http://localhost/webhook/it");
  const signed = await sign(provider, unsigned, { secret: "key" }, NOW);
  const delivery = { ...signed, receivedAt: NOW, remoteAddress: () => null };
  const source = createSource({ name: "it", provider, secrets: ["key"] }, () => NOW);
  source.admit(delivery);
  await source.verify(delivery);
  expect(source.parse(delivery).payload).toMatchObject({
    id: "0".repeat(24),
    subject: "Grüße",
    "attachment-1": {
      filename: `${"0".repeat(24)}.txt`,
      type: "text/plain",
      size: 4,
      sha256: sha256("text"),
    },
    timestamp: String(NOW / 1000),
  });
  const other = await sign(provider, unsigned, { secret: "another" }, NOW);
  expect(() => source.verify({ ...delivery, ...other })).toThrow("does not match");
});

test("refuses a damaged body, or reads what it would write, and throws nothing unexpected", () => {
  const whole =
    field("a") +
    part('Content-Disposition: form-data; name="f"; filename="x"', "text") +
    field("c", "") +
    END;
  const bits = [
    "\r\n",
    "--X",
    "--",
    "\r",
    '"',
    ";",
    "=",
    "\\",
    "%22",
    "\r\n--X\r\n",
    "\u00e4",
    'name="b"',
    "",
  ];
  const splice = fc.record({
    at: fc.nat(whole.length),
    remove: fc.nat(6),
    put: fc.constantFrom(...bits),
  });
  fc.assert(
    fc.property(fc.array(splice, { minLength: 1, maxLength: 3 }), (splices) => {
      let text = whole;
      for (const { at, remove, put } of splices) text = text.slice(0, at) + put + text.slice(at + remove);
      const refusal = refusalOf(text);
      if (refusal !== "none") return expect(refusal).toStartWith("invalid_multipart: ");
      const parts = read(text);
      expect(read(writeMultipart(HEADERS, parts))).toEqual(parts);
    }),
    { numRuns: 2000 },
  );
});

test("writes what it reads", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(names, fc.uint8Array({ maxLength: 30 }), fc.boolean()), { maxLength: 6 }),
      (entries) => {
        const headers = withBoundary("a-boundary-that-no-content-has");
        const parts = entries.map(([name, bytes, isFile]) =>
          newPart(
            plain(name),
            bytes,
            isFile ? { filename: `${plain(name)}.bin`, type: "image/png" } : undefined,
          ),
        );
        const written = writeMultipart(headers, parts);
        expect(writeMultipart(headers, partsOf(headers, written)).equals(written)).toBe(true);
      },
    ),
  );
});

describe("a body", () => {
  test.each<[string, string, [name: string, text: string | undefined][]]>([
    ["with a line break before it and text after it", `\r\n${field("a")}${END}ignored --X`, [["a", "1"]]],
    ["without a part", END, []],
    ["with blanks after a boundary", field("a").replace("--X", "--X \t"), [["a", "1"]]],
    [
      "with lines that only begin like its boundary",
      field("a", "\r\n--Xy\r\n--X-\r\n--"),
      [["a", "\r\n--Xy\r\n--X-\r\n--"]],
    ],
    ["with a folded header", part('Content-Disposition: form-data;\r\n name="a"'), [["a", "1"]]],
    ...["7bit", "8BIT", "binary"].map((encoding): [string, string, [string, string][]] => [
      `with a part in ${encoding}`,
      part(`Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: ${encoding}`),
      [["a", "1"]],
    ]),
    ["with a name without quotation marks", part("content-disposition:form-data;name=a"), [["a", "1"]]],
    [
      "with a name of escapes",
      part(String.raw`Content-Disposition: form-data; name="a\"\\%22"`),
      [[String.raw`a"\"`, "1"]],
    ],
    [
      "that names its encoding",
      part(
        'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=iso-8859-1',
        "\u00e4",
      ),
      [["a", "\u00c3\u00a4"]],
    ],
  ])("%s is read", (_, body, expected) => {
    expect(
      read(body.endsWith(END) || body.includes(END) ? body : body + END).map(({ name, text }) => [
        name,
        text,
      ]),
    ).toEqual(expected);
  });

  const unreadable: [name: string, body: string, why: string, headers?: Headers][] = [
    [
      "without a boundary in its Content-Type",
      field("a") + END,
      "names no boundary",
      { "content-type": "multipart/form-data" },
    ],
    ["with a boundary that is too long", "", "names no boundary", withBoundary("b".repeat(71))],
    ["with an empty boundary", "", "names no boundary", withBoundary('""')],
    ["that is empty", "", "it does not begin with its boundary"],
    ["with text before it", `text\r\n${field("a")}${END}`, "it does not begin with its boundary"],
    [
      "of another boundary",
      (field("a") + END).replaceAll("--X", "--Y"),
      "it does not begin with its boundary",
    ],
    ["that is cut", (field("a") + field("b") + END).slice(0, -5), "its last boundary is missing"],
    ["that is cut in the headers of a part", field("a").slice(0, 20), "its last boundary is missing"],
    [
      "with a thousand lines that begin like its boundary",
      field("a", "\r\n--Xy".repeat(1000)) + END,
      "1000 lines of a part begin like its boundary",
    ],
    [
      "with a quotation mark that is not closed",
      part('Content-Disposition: form-data; name="a') + END,
      "a value whose quotation mark is not closed",
    ],
    [
      "with line feeds alone",
      (field("a") + END).replaceAll("\r", ""),
      "its first boundary is not on a line of its own",
    ],
    ["with a part without headers", `--X\r\n\r\n\r\n1\r\n${END}`, "a part has no name"],
    ["with a part without a name", part("Content-Disposition: form-data") + END, "a part has no name"],
    [
      "with a part of a huge header",
      part(`Content-Disposition: form-data; name="a"; x="${"y".repeat(8200)}"`) + END,
      "the headers of a part do not end within 8192 bytes",
    ],
    [
      "with a header without a colon",
      part('Content-Disposition: form-data; name="a"\r\nb') + END,
      "a header without a colon",
    ],
    [
      "with two names for a part",
      part('Content-Disposition: form-data; name="a"; name="b"') + END,
      'two values for "name"',
    ],
    // Read as it came, `bTQ=` would be the id of an event whose id is `m4`.
    ...["base64", "Quoted-Printable", "x-unknown"].map((encoding): [string, string, string] => [
      `with a part in ${encoding}`,
      part(`Content-Disposition: form-data; name="id"\r\nContent-Transfer-Encoding: ${encoding}`, "bTQ=") +
        END,
      `the Content-Transfer-Encoding "${encoding}"`,
    ]),
    [
      "with two dispositions for a part",
      part('Content-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"') + END,
      'the header "content-disposition" twice',
    ],
  ];
  test.each(unreadable.map(([name, body, why, headers = HEADERS]) => [name, body, why, headers] as const))(
    "%s is refused",
    (_, body, why, headers) => {
      expect(refusalOf(body, headers)).toStartWith("invalid_multipart: ");
      expect(refusalOf(body, headers)).toContain(why);
    },
  );

  test("of too many parts is refused after the last that is read", () => {
    expect(read(field("a").repeat(MAX_FIELDS) + END)).toHaveLength(MAX_FIELDS);
    expect(refusalOf(field("a").repeat(MAX_FIELDS + 1) + END)).toStartWith("too_many_fields: ");
    // Its end is not read.
    expect(refusalOf(field("a").repeat(100_000))).toStartWith("too_many_fields: ");
  });

  test("inside a part is its content", () => {
    const inner = `--Y\r\nContent-Disposition: form-data; name="b"\r\n\r\n2\r\n--Y--\r\n`;
    const outer =
      part('Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=Y', inner) +
      END;
    expect(fieldsOf(read(outer))).toEqual({ a: inner });
  });

  test.each<[string, string]>([
    ["of lines that begin like its boundary", field("a", "\r\n--x".repeat(1_600_000)) + END],
    ["of such lines in each part", field("a", "\r\n--Xy".repeat(990)).repeat(900) + END],
    ["of boundaries that are content", field("a", "\r\n--Xy".repeat(1_400_000)) + END],
    ["of line breaks", field("a", "\r\n".repeat(4_000_000)) + END],
    ["of line breaks, cut", field("a", "\r\n".repeat(4_000_000))],
    ["of dashes", field("a", "-".repeat(8_000_000)) + END],
    ["of blanks after its boundary", `--X${" ".repeat(8_000_000)}`],
    ["of blanks after each boundary", `--X${" ".repeat(99)}\r\n--X`.repeat(80_000)],
    ["of a header without end", `--X\r\n${"a: b\r\n".repeat(1_300_000)}`],
    [
      "of open quotation marks in names",
      `${part(`Content-Disposition: form-data; name="a"${'; b="'.repeat(1500)}`).repeat(900)}${END}`,
    ],
  ])("takes linear time: 8 MB %s", (_, body) => {
    const bytes = Buffer.from(body);
    const boundary = `${"-".repeat(69)}X`;
    const started = performance.now();
    for (const headers of [HEADERS, withBoundary(boundary)]) refusalOf(bytes, headers);
    // It takes about 20 ms. Anything worse than linear would take minutes.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("the payload of a multipart body", () => {
  const photo = Uint8Array.of(0xff, 0xd8, 0x00, 0x0d, 0x0a, 0x2d, 0x2d);
  const body = writeMultipart(HEADERS, [
    newPart("to", "a@example.com"),
    newPart("tag", "one"),
    newPart("photo", photo, { filename: 'fü "1".jpg', type: "image/jpeg" }),
    newPart("tag", "two"),
    newPart("text", Uint8Array.of(0xe4)),
    newPart("__proto__", "x"),
  ]);
  const image = { filename: 'fü "1".jpg', type: "image/jpeg", size: 7, sha256: sha256(photo) };
  const latin1 = { filename: null, type: "text/plain", size: 1, sha256: sha256(Uint8Array.of(0xe4)) };

  test("is an object of its fields, with files as their descriptions", () => {
    const { payload, json, problem } = parseBody({ headers: HEADERS, body });
    expect(problem).toBeNull();
    const expected = JSON.parse(
      JSON.stringify({ to: "a@example.com", tag: ["one", "two"], photo: image, text: latin1 }).replace(
        /}$/,
        ',"__proto__":"x"}',
      ),
    ) as unknown;
    expect(payload).toEqual(expected);
    expect(JSON.parse(json ?? "")).toEqual(expected);
  });

  test("has its files beside it, with copies of their bytes", () => {
    const files = filesOf({ headers: HEADERS, body });
    expect(files).toEqual([
      { field: "photo", ...image, bytes: photo },
      { field: "text", ...latin1, bytes: Uint8Array.of(0xe4) },
    ]);
    files[0]?.bytes.fill(0);
    expect(filesOf({ headers: HEADERS, body })[0]?.bytes).toEqual(photo);
  });

  test("is the JSON of one field if the provider sends it in a field", () => {
    const bytes = writeMultipart(HEADERS, [
      newPart("payload", '{"event":"media.play"}'),
      newPart("thumb", photo, { filename: "t", type: "image/jpeg" }),
    ]);
    expect(parseBody({ headers: HEADERS, body: bytes }, "payload").payload).toEqual({ event: "media.play" });
    expect(filesOf({ headers: HEADERS, body: bytes }).map(({ field: name }) => name)).toEqual(["thumb"]);
  });

  test("is null, with the reason, if the body cannot be read, and then there are no files", () => {
    for (const [headers, bytes, code] of [
      [HEADERS, body.subarray(0, -4), "invalid_multipart"],
      [{ ...HEADERS, "content-encoding": "gzip" }, body, "invalid_json"],
    ] as const) {
      const read = parseBody({ headers, body: bytes });
      expect([read.payload, read.json, read.problem?.code]).toEqual([null, null, code]);
      expect(filesOf({ headers, body: bytes })).toEqual([]);
    }
  });

  test("can be changed, and its files stay", () => {
    const changed = changeBody({ headers: HEADERS, body }, (payload) => ({
      ...(payload as object),
      to: "b@example.com",
      more: 1,
    }));
    const { payload } = parseBody({ headers: HEADERS, body: changed });
    expect(payload).toMatchObject({
      to: "b@example.com",
      tag: ["one", "two"],
      photo: image,
      text: latin1,
      more: "1",
    });
  });
});

const config = (eventId: string): string =>
  `[sources.it]\nprovider = "unsigned"\nallow_public = true\nevent_id = "${eventId}"\ntype = "body:$.type"\n`;

describe("a delivery of a multipart body", () => {
  const migrations = {
    "migrations/0001.sql": "create table files (id text, name text, hash text, bytes blob) strict;",
  };
  const handler = {
    "handlers/it/_any.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  for (const { field, sha256, bytes } of event.files)
    db.run(sql\`insert into files values (\${event.id}, \${field}, \${sha256}, \${bytes})\`);
  event.files[0]?.bytes.fill(0);
  if (event.payload.photo.sha256 !== event.files[0]?.sha256) throw new Error("another file");
});`,
  };
  const photo = Uint8Array.from({ length: 70_000 }, (_, at) => (at * 7) % 256);
  const deliveryWith = (
    boundary: string,
    id = "evt_1",
  ): { method: string; body: Buffer; headers: Record<string, string> } => {
    const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
    const parts = [
      newPart("id", id),
      newPart("type", "mail"),
      newPart("photo", photo, { filename: "p", type: "image/png" }),
    ];
    return { method: "POST", body: writeMultipart(headers, parts), headers };
  };
  const stored = { id: "evt_1", name: "photo", hash: sha256(photo), bytes: photo };

  test("gives a TypeScript handler its files, once, whatever boundary a retry has", async () => {
    await using inbox = await testInbox({
      config: config("body:$.id"),
      files: { ...migrations, ...handler },
    });
    const answers = await Promise.all(
      ["one", "two", "three"].map(async (boundary) => {
        const response = await inbox.request("/webhook/it", deliveryWith(boundary));
        return ((await response.json()) as { status: string }).status;
      }),
    );
    expect(answers.sort()).toEqual(["duplicate", "duplicate", "processed"]);
    expect(inbox.rows("select * from files")).toEqual([stored]);
    // A retry with another boundary is the same body.
    expect(JSON.stringify(inbox.log)).not.toContain("changed");
    // What the handler did to its copy is not stored.
    expect(Buffer.from(inbox.value("select bytes from hookonce_bodies") as Uint8Array).includes(photo)).toBe(
      true,
    );
  });

  test.each([
    ["as it came", (one: ReturnType<typeof deliveryWith>) => one],
    [
      "compressed",
      (one: ReturnType<typeof deliveryWith>) => ({
        ...one,
        body: gzipSync(one.body),
        headers: { ...one.headers, "content-encoding": "gzip" },
      }),
    ],
  ])("runs later with the same files: %s", async (_, change) => {
    await using inbox = await testInbox({ config: config("body:$.id"), files: migrations });
    const first = await inbox.request("/webhook/it", change(deliveryWith("one")));
    expect(await first.json()).toMatchObject({ status: "unhandled" });
    await inbox.restart({ files: handler });
    const second = await inbox.request("/webhook/it", change(deliveryWith("two")));
    expect(await second.json()).toMatchObject({ status: "processed" });
    expect(inbox.rows("select * from files")).toEqual([stored]);
  });

  test("has the same hash as its retry", async () => {
    await using inbox = await testInbox({
      config: config("sha256:body"),
      files: { ...migrations, ...handler },
    });
    const said: string[] = [];
    for (const [boundary, id] of [
      ["one", "a"],
      ["two", "a"],
      ["one", "b"],
    ] as const)
      said.push(
        (
          (await (await inbox.request("/webhook/it", deliveryWith(boundary, id))).json()) as {
            status: string;
          }
        ).status,
      );
    expect(said).toEqual(["processed", "duplicate", "processed"]);
  });

  test("is refused if it cannot be read, and nothing is recorded", async () => {
    await using inbox = await testInbox({
      config: config("body:$.id"),
      files: { ...migrations, ...handler },
    });
    const whole = deliveryWith("one");
    for (const [body, code] of [
      [whole.body.subarray(0, -4), "invalid_multipart"],
      [
        Buffer.from(`--one\r\nContent-Disposition: form-data; name="id"\r\n\r\n1\r\n`.repeat(100_000)),
        "body_too_large",
      ],
      [
        Buffer.from(`--one\r\nContent-Disposition: form-data; name="id"\r\n\r\n1\r\n`.repeat(10_000)),
        "too_many_fields",
      ],
    ] as const) {
      const response = await inbox.request("/webhook/it", { ...whole, body });
      expect(await response.json()).toMatchObject({ error: { code } });
    }
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  });

  test("keeps no secret that its sender put into it", async () => {
    const secret = "pässword/&";
    await using inbox = await testInbox({
      config:
        '[sources.it]\nprovider = "static"\nsecret = "env:S"\nsecret_in = "body:$.token"\nevent_id = "body:$.id"\ntype = "body:$.type"\n',
      environment: { S: secret },
      files: { ...migrations, ...handler },
    });
    const headers = { "content-type": "multipart/form-data; boundary=one" };
    const body = (token: string): Buffer =>
      writeMultipart(headers, [
        newPart("id", "evt_1"),
        newPart("type", "mail"),
        newPart("token", token),
        newPart("photo", Buffer.concat([photo, Buffer.from(secret)]), {
          filename: `${secret}.png`,
          type: "image/png",
        }),
      ]);
    const deliver = async (token: string): Promise<unknown> =>
      (await inbox.request("/webhook/it", { method: "POST", headers, body: body(token) })).json();
    expect(await deliver("wrong")).toMatchObject({ error: { code: "signature_mismatch" } });
    expect(await deliver(secret)).toMatchObject({ status: "processed" });
    const bytes = Buffer.from(inbox.value("select bytes from hookonce_bodies") as Uint8Array);
    expect(bytes.includes(secret)).toBe(false);
    expect(bytes.includes(photo)).toBe(true);
    expect(parseBody({ headers, body: bytes }).payload).toMatchObject({
      token: "[redacted]",
      photo: { filename: "[redacted].png" },
    });
    expect(JSON.stringify(inbox.log)).not.toContain(secret);
  });
});

test("only a multipart body may be large if the signature is in the body, unless the config says so", async () => {
  const provider = providers.get("mailgun") as Provider;
  const large = String(2 * 1024 * 1024);
  const limit = (type: string, length: string, maxBody?: number): unknown => {
    const source = createSource({ name: "it", provider, secrets: ["key"], maxBody }, () => NOW);
    const headers = { "content-type": type, "content-length": length };
    try {
      return source.admit({ method: "POST", url: "/webhook/it", headers, remoteAddress: () => null })
        .maxBytes;
    } catch (error) {
      return (error as HookonceError).code;
    }
  };
  expect(limit("multipart/form-data; boundary=X", large)).toBe(30 * 1024 * 1024);
  expect(limit("application/json", "2")).toBe(1024 * 1024);
  for (const type of ["application/json", "application/x-www-form-urlencoded", "text/plain"])
    expect(limit(type, large)).toBe("body_too_large");
  expect(limit("application/json", large, 3 * 1024 * 1024)).toBe(3 * 1024 * 1024);
});

test("a mail that Mailgun's routes forward is one event, even if a retry is signed again", async () => {
  const provider = providers.get("mailgun") as Provider;
  await using inbox = await testInbox({
    config: '[sources.it]\nprovider = "mailgun"\nsecret = "env:S"\n',
    environment: { S: "key" },
    clock: () => NOW,
    files: {
      "migrations/0001.sql": "create table mails (subject text, size integer) strict;",
      "handlers/it/_any.sql": `insert into mails values (:payload ->> '$.subject', :payload ->> '$."attachment-1".size');`,
    },
  });
  const deliver = async (subject: string, boundary: string, ageMs: number): Promise<unknown> => {
    const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
    const parts = [
      newPart("subject", subject),
      newPart("attachment-1", Buffer.alloc(2_000_000, 1), { filename: "a.bin", type: "application/x-bin" }),
    ];
    const unsigned = {
      method: "POST",
      url: "http://localhost/webhook/it",
      headers,
      body: writeMultipart(headers, parts),
    };
    const { body } = await sign(provider, unsigned, { secret: "key" }, NOW - ageMs);
    const response = await inbox.request("/webhook/it", { method: "POST", headers, body: Buffer.from(body) });
    return ((await response.json()) as { status: string }).status;
  };
  expect(await deliver("one", "a", 60_000)).toBe("processed");
  expect(await deliver("one", "b", 0)).toBe("duplicate");
  expect(await deliver("two", "b", 0)).toBe("processed");
  expect(inbox.rows("select * from mails")).toEqual([
    { subject: "one", size: 2_000_000 },
    { subject: "two", size: 2_000_000 },
  ]);
});
