import { UNFINISHED_LINE } from "../engines/unfinished.ts";
import { keyOf } from "../handlers/find.ts";
import { compileBatch } from "../providers/body/batch.ts";
import { parseBody } from "../providers/body/payload.ts";
import type { Provider } from "../providers/provider.ts";
import type { Dialect } from "../templates/inbox-files.ts";
import { inDialect, payloadValue, type PayloadPath } from "./dialects.ts";
import { exampleFor, seedOf, type Example } from "./example.ts";
import { requestOf } from "./request.ts";

export interface StarterHandler {
  /** Relative to the inbox folder, with `/`. */
  readonly file: string;
  readonly text: string;
  /** A first test beside it, which passes until the handler is edited. */
  readonly test: { readonly file: string; readonly text: string };
}

/** Enough paths to show how the payload is built. */
const MAX_PATHS = 8;

/**
 * A handler that fails until it is edited, and shows the paths of this provider's payload.
 *
 * @param word a type, or a word in the example's `untyped`
 */
export function starterHandler(
  provider: Provider,
  usual: Example,
  source: string,
  word: string,
  dialect: Dialect = "sqlite",
): StarterHandler {
  const { example, type } = exampleFor(usual, word);
  const payload = payloadOf(provider, example, type);
  const columns = columnsOf(payload, payloadValue[dialect]);
  const width = Math.max(...columns.map(({ expression }) => expression.length));
  const select = columns.map(({ expression, name }, index) => {
    const comma = index === columns.length - 1 ? "" : ",";
    return `  ${expression.padEnd(width)} as ${name}${comma}`;
  });
  const what = word === "" ? "every event" : word;
  const table = `insert into your_table (event_id, ${columns[0]?.name ?? "payload"}) values (:event_id, ${columns[0]?.expression ?? ":payload"});`;
  const update = inDialect(example.update?.(type) ?? `  ${table}`, dialect, payload);
  const text = `${UNFINISHED_LINE}. Until you delete this line, each event fails and is kept: hookonce apply runs it later.
-- ${provider.title}: ${what}. Its changes are committed once per event, in the transaction that records the event.
-- Write your update, for example to a table that you create in migrations/:
--
${update.replaceAll(/^/gm, "-- ").replaceAll(/^-- $/gm, "--")}
--
-- It can use :event_id, :type, :source, :received_at (Unix milliseconds), :payload and :headers (${dialect === "sqlite" ? "JSON text" : "jsonb"}).
-- These are paths of ${provider.title}'s payload:
select
${select.join("\n")};
`;
  const path = `handlers/${source}/${type === "" ? "_any" : keyOf(type)}`;
  const test = { file: `${path}.test.ts`, text: starterTest(provider.name, source, word, dialect) };
  return { file: `${path}.sql`, text, test };
}

/** @param word as {@link starterHandler} takes it */
function starterTest(provider: string, source: string, word: string, dialect: Dialect): string {
  const rows = {
    sqlite: `box.db.query("select * from your_table").all()`,
    postgres: "await box.db`select * from your_table`",
  };
  const of = /^[a-z]\w*$/.test(provider) ? `.${provider}` : `[${JSON.stringify(provider)}]`;
  const what = JSON.stringify(`${word === "" ? "an event" : word} is applied once`);
  return `// Run it with: hookonce test

import { expect, test } from "bun:test";
import { fixtures, testInbox } from "hookonce/test";

test(${what}, async () => {
  await using box = await testInbox();
  const event = fixtures${of}[${JSON.stringify(word)}]();

  const answers = await box.deliver(${JSON.stringify(source)}, event, { times: 2 });

  // The starter fails until you edit it. Then expect ["processed", "duplicate"], and check the rows:
  // expect(${rows[dialect]}).toEqual([…]);
  expect(answers.map(({ code, outcome }) => code ?? outcome)).toEqual(["handler_unfinished", "handler_unfinished"]);
});
`;
}

/** The payload that a handler gets for the example. */
export function payloadOf(provider: Provider, example: Example, type: string): unknown {
  const request = requestOf(example, [seedOf("0".repeat(24), type, 0)], "http://localhost");
  const body = parseBody(request, provider.formField);
  if (provider.batch === undefined) return body.payload;
  return compileBatch(provider.batch)(body)?.[0]?.payload;
}

interface Column {
  readonly expression: string;
  readonly name: string;
}

function columnsOf(payload: unknown, valueOf: (path: PayloadPath) => string): Column[] {
  const columns: Column[] = [];
  const names = new Set<string>();
  // Nested values first, because the envelope around them mostly repeats :event_id and :type.
  const leaves = leavesOf(payload, []).sort((a, b) => Number(a.length === 1) - Number(b.length === 1));
  for (const path of leaves) {
    if (columns.length === MAX_PATHS) break;
    const words = path.filter((step) => typeof step === "string").map((step) => step.replaceAll(/\W+/g, "_"));
    // The last word of the path, with as many words before it as make the name unique. Quoted, since some are
    // SQL keywords.
    const name = words.map((_, from) => words.slice(-1 - from).join("_")).find((one) => !names.has(one));
    if (name === undefined) continue;
    names.add(name);
    columns.push({ expression: valueOf(path), name: `"${name}"` });
  }
  return columns;
}

/** The paths of all values that are neither object nor list. Of a list, only the first element is read. */
function leavesOf(value: unknown, path: PayloadPath): PayloadPath[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : leavesOf(value[0], [...path, 0]);
  if (typeof value !== "object" || value === null) return value === null || value === undefined ? [] : [path];
  return Object.entries(value).flatMap(([key, one]) => leavesOf(one, [...path, key]));
}
