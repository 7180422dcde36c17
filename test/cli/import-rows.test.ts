import { describe, expect, test } from "bun:test";
import { linesOf } from "../../src/cli/import-lines.ts";
import { createRowReader } from "../../src/cli/import-rows.ts";
import { timeOf } from "../../src/cli/import-time.ts";
import { checkId, checkType } from "../../src/providers/body/identity.ts";

/** The rows of a file as `id type time`, and what was refused as `line: why`. */
async function read(bytes: Uint8Array | string, chunk = 7): Promise<string[]> {
  const all = Buffer.from(bytes);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < all.length; at += chunk) controller.enqueue(all.subarray(at, at + chunk));
      controller.close();
    },
  });
  const reader = createRowReader();
  const found: string[] = [];
  for await (const lines of linesOf(stream, new AbortController().signal))
    for (const line of lines) {
      try {
        const row = reader.push(line);
        if (row === undefined) continue;
        const { id, type, time } = row;
        found.push([checkId(id ?? ""), checkType(type), time ?? ""].filter((one) => one !== "").join(" "));
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        if (code === "file_unreadable") throw error;
        found.push(`${reader.line}: ${message}`);
      }
    }
  reader.end();
  return found;
}

describe("files that are read", () => {
  test.each([
    ["a list", "evt_1\nevt_2", ["evt_1", "evt_2"]],
    ["a list with spaces, empty lines and CRLF", " evt_1\r\n\r\n\tevt_2 \r\n", ["evt_1", "evt_2"]],
    ["a list of an old Macintosh", "evt_1\revt_2\r", ["evt_1", "evt_2"]],
    ["a list in quotation marks, as jq writes it", '"evt_1"\n"evt, 2"\n', ["evt_1", "evt, 2"]],
    ["a list of ids without digits, with a header", "event_id\nfirst\nsecond\n", ["first", "second"]],
    ["CSV of sqlite3", 'event_id,type\r\nevt_1,"a, b"\r\n', ["evt_1 a, b"]],
    ["CSV of psql", "id,created_at\nevt_1,2026-01-31 12:00:00+00\n", ["evt_1 2026-01-31 12:00:00+00"]],
    ["CSV with a byte order mark", "\uFEFFevent_id,type\nevt_1,paid\n", ["evt_1 paid"]],
    ["CSV of Excel in Europe", "sep=;\r\nEvent ID;Type\r\nevt_1;paid\r\n", ["evt_1 paid"]],
    ["CSV with semicolons", "received_at;event_id\n1796083200;evt_1\n", ["evt_1 1796083200"]],
    ["tabs", "eventId\teventType\nevt_1\tpaid\n", ["evt_1 paid"]],
    ["the list mode of sqlite3", "event_id|type\nevt_1|paid\n", ["evt_1 paid"]],
    [
      "an export of Stripe",
      '"id","Type","Created (UTC)"\n"evt_1","invoice.paid","2026-01-31 12:00"\n',
      ["evt_1 invoice.paid 2026-01-31 12:00"],
    ],
    [
      "the id of a table's own column",
      "stripe_event_id,processed_at\nevt_1,2026-01-31\n",
      ["evt_1 2026-01-31"],
    ],
    ["spaces around the cells", " event_id , type \n evt_1 , paid \n", ["evt_1 paid"]],
    ["quotation marks within a cell", 'id,type\n"a ""b"", c",x\n', ['a "b", c x']],
    [
      "line breaks within a cell",
      'event_id,payload,type\nevt_1,"{\n""id"": ""x"",\n""y"": [1,2]\n}",paid\nevt_3,{},paid\n',
      ["evt_1 paid", "evt_3 paid"],
    ],
    [
      "quotation marks that are text",
      'event_id,note,type\nevt_1,5" pipe,paid\nevt_2,a "b" c,paid\nevt_3,6" pipe,paid\n',
      ["evt_1 paid", "evt_2 paid", "evt_3 paid"],
    ],
    [
      "NDJSON",
      '{"event_id":9007199254740993,"type":"t","time":1796083200}\n{"id":"evt_1","type":null}\n',
      ["9007199254740993 t 1796083200", "evt_1"],
    ],
    [
      "events of Stripe's API",
      '{"id":"evt_1","object":"event","type":"a","created":1796083200,"data":{"id":"in_1"}}',
      ["evt_1 a 1796083200"],
    ],
  ])("%s", async (_, text, rows) => {
    expect(await read(text)).toEqual(rows);
    expect(await read(text, 1_000_000)).toEqual(rows);
  });

  test("UTF-16 with a byte order mark", async () => {
    const little = Buffer.from("\uFEFFevent_id\ttype\r\névt_1\tpaid\r\n", "utf16le");
    expect(await read(little)).toEqual(["évt_1 paid"]);
    expect(await read(Buffer.from(little).swap16())).toEqual(["évt_1 paid"]);
  });
});

describe("files that are refused", () => {
  test.each([
    ["an empty file", "", "The file is empty."],
    ["empty lines", "\n\n", "only empty lines"],
    ["CSV without a header", "evt_1,paid\n", 'none of them is called event_id: "evt_1,paid"'],
    ["CSV with another header", "foo;bar\nevt_1;paid\n", "none of them is called event_id"],
    ["one column with another name", "webhook\nevt_1\n", 'Line 1 is "webhook"'],
    ["two columns that may be the id", "id,stripe_event_id\n1,evt_1\n", '"id" and "stripe_event_id"'],
    ["a JSON array", '[\n{"id":"evt_1"}\n]\n', "Line 1 begins a JSON array"],
    ["JSON on several lines", '{\n"id":"evt_1"\n}\n', "Line 1: The line is not a complete JSON object"],
    ["a list of an API", '{"data":[{"id":"evt_1"}]}\n', 'Its keys are "data".'],
    ["psql for people", " event_id | type \n----------+------\n evt_1 | a\n", "psql --csv"],
    ["psql for people, one column", " event_id \n----------\n evt_1\n", "psql --csv"],
    ["mysql for people", "+----+\n| id |\n+----+\n", 'Line 1 is "+----+"'],
    ["Markdown", "| event_id | type |\n|---|---|\n", "psql --csv"],
    ["an error", "Error: no such table: events\n", "none of them is called event_id"],
    ["HTML", "<!doctype html>\n", "none of them is called event_id"],
    ["single quotes", "'evt_1'\n", "is in single quotes"],
    ["an open quotation mark", 'event_id,x\nevt_1,"a\n', "mark in line 2 is not closed"],
    [
      "a cell that begins with a quotation mark and is not quoted",
      'event_id\tnote\nevt_1\t"5 inch\nevt_2\ta\nevt_3\t6 inch"\n',
      "Line 2 opens a quotation mark, but line 3 is a new row",
    ],
  ])("%s", async (_, text, why) => {
    expect(await refusalOf(text)).toContain(why);
  });

  test.each([
    ["an Excel workbook", Buffer.from("PK\u0003\u0004more", "latin1"), "CSV UTF-8"],
    ["gzip", Bun.gzipSync("evt_1\n"), "gunzip"],
    ["an SQLite database", Buffer.from("SQLite format 3\0more"), "sqlite3 -csv -header"],
    ["UTF-16 without a byte order mark", Buffer.from("evt_1\n", "utf16le"), "zero bytes"],
    ["Latin-1", Buffer.from("évt_1\n", "latin1"), "not UTF-8"],
  ])("%s", async (_, bytes, why) => {
    expect(await refusalOf(bytes)).toContain(why);
  });
});

async function refusalOf(bytes: Uint8Array | string): Promise<string> {
  const rows = await read(bytes, 1_000_000).catch((error: unknown) => error);
  expect(rows).toMatchObject({ code: "file_unreadable" });
  return (rows as Error).message;
}

test.each([
  ["evt_1\nevt_2,paid\n", "2: The line has several columns"],
  ["evt_1\nevt 2\n", "2: The line has several columns"],
  ["event_id,type\nevt_1\n", "2: The line has 1 columns, but the header has 2."],
  ['event_id,type\n"evt_1"x,a\n', "2: The quotation marks of the line do not match."],
  ["event_id\nevt_1\n(1 row)\n", '3: "(1 row)" is the count that a database client adds.'],
  ["event_id,n\nNULL,1\n", '2: "NULL" is not an id.'],
  ["event_id\n1.79601E+15\n", '2: "1.79601E+15" is a number that a spreadsheet has rounded.'],
  ["event_id,type\n,paid\n", "2: The event id is empty."],
  ['{"id":1}\nevt_2\n', "2: The line is not a complete JSON object."],
  ['{"id":1}\n[2]\n', "2: The line is not a JSON object."],
  ['{"id":1}\n{"id":1.5}\n', "2: The event id is a number but not a whole number."],
  ['{"id":1}\n{"id":{}}\n', "2: The event id is neither text nor a whole number."],
  ['{"id":1}\n{"name":2}\n', '2: The object has no event_id. Its keys are "name".'],
])("a line is refused alone: %j", async (text, why) => {
  expect((await read(text)).filter((row) => row.startsWith(why))).toHaveLength(1);
});

describe("times", () => {
  const now = Date.UTC(2026, 10, 27);
  const noon = Date.UTC(2026, 0, 31, 12);

  test.each([
    ["2026-01-31T12:00:00Z", noon],
    ["2026-01-31 12:00", noon],
    ["2026-01-31 12:00:00 UTC", noon],
    ["2026-01-31 13:30:00.25+01:30", noon + 250],
    ["2026-01-31 07:00:00.123456-05", noon + 123],
    ["2026-01-31", noon - 12 * 3_600_000],
    [String(noon / 1000), noon],
    [`${noon / 1000}.5`, noon + 500],
    [String(noon), noon],
  ])("%s", (text, at) => {
    expect(timeOf(text, now)).toBe(at);
  });

  test.each([
    ["2026-02-30", "neither ISO 8601"],
    ["2026-01-31 25:00", "neither ISO 8601"],
    ["31/01/2026", "neither ISO 8601"],
    ["yesterday", "neither ISO 8601"],
    ["1796083200000000", "neither ISO 8601"],
    ["46053.5", "before the year 2000"],
    ["2999-01-01", "in the future"],
    ["99999999999", "in the future"],
  ])("not %s", (text, why) => {
    expect(() => timeOf(text, now)).toThrow(why);
  });
});
