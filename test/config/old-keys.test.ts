import { expect, test } from "bun:test";
import { refusedStart, testInbox } from "../support/test-inbox.ts";

/** A source that needs no other keys, so that only the lines under test are wrong. */
const STRIPE = '[sources.a]\nprovider = "stripe"\nsecret = "env:S"\n';
const environment = { S: "whsec_1" };

async function messagesOf(lines: string): Promise<[line: number | undefined, message: string][]> {
  const { problems } = await refusedStart({ config: STRIPE + lines, environment });
  return problems.map(({ line, message }) => [line, message]);
}

test.each([
  ['header = "X-Sig"', "header", 'signature.header: write header = "X-Sig" in signature = { … }'],
  ['algorithm = "sha1"', "algorithm", 'signature.algorithm: write algorithm = "sha1" in signature = { … }'],
  ['encoding = "base64"', "encoding", 'signature.encoding: write encoding = "base64" in signature = { … }'],
  ['prefix = "v1="', "prefix", 'signature.prefix: write prefix = "v1=" in signature = { … }'],
  ['separator = " "', "separator", 'signature.separator: write separator = " " in signature = { … }'],
  ['signed = "{id}.{body}"', "signed", 'signature.signed: write signed = "{id}.{body}" in signature = { … }'],
  ['key = "hex"', "key", 'signature.secret_encoding: write secret_encoding = "hex" in signature = { … }'],
  [
    'timestamp_header = "x-time"',
    "timestamp_header",
    'signature.timestamp: write timestamp = "header:x-time" in signature = { … }',
  ],
  [
    'timestamp_body = "body:$.at"',
    "timestamp_body",
    'signature.timestamp: write timestamp = "body:$.at" in signature = { … }',
  ],
  [
    'timestamp_unit = "ms"',
    "timestamp_unit",
    'signature.timestamp_unit: write timestamp_unit = "ms" in signature = { … }',
  ],
  ['id_header = "x-id"', "id_header", 'signature.id: write id = "header:x-id" in signature = { … }'],
  ['previous = "b"', "previous", 'renamed_from: write renamed_from = "b"'],
  // Today's names of the same, in the wrong table.
  [
    'timestamp = "header:x"',
    "timestamp",
    'signature.timestamp: write timestamp = "header:x" in signature = { … }',
  ],
  [
    'signature = { key = "hex" }',
    "signature.key",
    'signature.secret_encoding: write secret_encoding = "hex" in',
  ],
  [
    'signature = { timestamp_header = "x" }',
    "signature.timestamp_header",
    'signature.timestamp: write timestamp = "header:x" in signature = { … }',
  ],
])("%s is refused with the new key and the value to write", async (line, key, message) => {
  expect(await messagesOf(line)).toEqual([
    [5, expect.stringContaining(`sources.a.${key} is now ${message}`) as string],
  ]);
});

test.each([
  ["tolerance = 300", 'sources.a.tolerance: 300 has no unit: write tolerance = "300s" or "5m"'],
  ['tolerance = "0s"', 'sources.a.tolerance: 0s is too short: write a longer time, as in tolerance = "5m"'],
  ["max_body = 1048576", 'sources.a.max_body: 1048576 has no unit: write max_body = "1 MiB"'],
  [
    'signature = { tolerance = "5m" }',
    "sources.a.signature.tolerance is not a key of signature: write it in [sources.a]",
  ],
  ['signature = { heder = "x" }', "sources.a.signature.heder is not a key; did you mean header?"],
  ['signature = "x"', 'sources.a.signature: "x" is not a table: write { … }'],
  ['signature = { header = "header:x" }', 'sources.a.signature.header: "header:x" is not a header name'],
])("%s is refused", async (line, message) => {
  expect(await messagesOf(line)).toEqual([[5, expect.stringContaining(message) as string]]);
});

test("a wrong value under an old key is not repeated, because it may be a secret", async () => {
  const messages = await messagesOf('key = "very_secret"');
  expect(messages).toEqual([
    [5, expect.stringContaining("sources.a.key is now signature.secret_encoding: ") as string],
  ]);
  expect(JSON.stringify(messages)).not.toContain("very_secret");
});

test("every old key of a source is reported at once, in the order of the file", async () => {
  const messages = await messagesOf(
    'timestamp_header = "x-time"\ntolerance = 60\nevent_id = "id"\nprevious = "b"\nheader = "x-sig"\n',
  );
  expect(messages.map(([line, message]) => `${line}: ${message.split(":")[0]}`)).toEqual([
    "5: sources.a.timestamp_header is now signature.timestamp",
    "6: sources.a.tolerance",
    "7: sources.a.event_id",
    "8: sources.a.previous is now renamed_from",
    "9: sources.a.header is now signature.header",
  ]);
});

test.each([
  ["hmac", ["signature.header", "event_id", "type"]],
  ["static", ["secret_in", "event_id", "type"]],
  ["unsigned", ["type"]],
  ["strava", ["secret_in"]],
  ["supabase-database", ["secret_in"]],
])("provider = %p needs %p", async (provider, keys) => {
  const secret = provider === "unsigned" ? "" : 'secret = "env:S"\n';
  const { problems } = await refusedStart({
    config: `[sources.a]\nprovider = "${provider}"\n${secret}`,
    environment,
  });
  expect(problems.map(({ message }) => / is missing: /.exec(message) && message.split(" ")[0])).toEqual(
    keys.map((key) => `sources.a.${key}`),
  );
  // What each message says to write is all that it takes.
  const written = problems.map(({ message }) => message.split("; write ")[1]);
  await using inbox = await testInbox({
    config: `[sources.a]\nprovider = "${provider}"\n${secret}${written.join("\n")}`,
    environment,
  });
  expect(inbox.fatal).toEqual([]);
});
