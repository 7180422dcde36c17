import { describe, expect, test } from "bun:test";
import { loadModule, scanSync } from "@libpg-query/parser";
import { array, assert, constantFrom, property } from "fast-check";
import { splitStatements, tokensOf, type Token } from "../../../src/engines/postgres/sql-text.ts";

await loadModule();

const texts = (script: string): string[] => splitStatements(script).map(({ text }) => text);

describe("splitting a PostgreSQL script into statements", () => {
  test.each<[name: string, script: string, statements: string[]]>([
    ["nothing", "", []],
    ["blanks and semicolons", " \n;;\t; ", []],
    ["only comments", "-- one\n/* two /* three */ ; */ ; -- four", []],
    ["one without a semicolon", "select 1", ["select 1"]],
    ["two without a space", "select 1;select 2;", ["select 1", "select 2"]],
    ["comments around", "-- a\nselect /* ; */ 1 -- b\n; /* c */ select 2", ["select /* ; */ 1", "select 2"]],
    ["a string", "select 'a;''b'; select 2", ["select 'a;''b'", "select 2"]],
    ["a backslash in a plain string", "select '\\'; select 2", ["select '\\'", "select 2"]],
    ["a backslash in an escaped string", "select e'\\';'; select 2", ["select e'\\';'", "select 2"]],
    [
      "an escaped string that goes on",
      "select E'a' -- x\n 'b\\';'; select 2",
      ["select E'a' -- x\n 'b\\';'", "select 2"],
    ],
    ["a name", 'select "a;""b"; select 2', ['select "a;""b"', "select 2"]],
    ["dollar quotes", "select $$;$$, $a$;$$;$a$; select 2", ["select $$;$$, $a$;$$;$a$", "select 2"]],
    ["a name with dollars", "select a$b$; select c$b$", ["select a$b$", "select c$b$"]],
    [
      "a rule",
      "create rule r as on insert to t do (select 1; select 2); select 3",
      ["create rule r as on insert to t do (select 1; select 2)", "select 3"],
    ],
    [
      "the body of a function",
      "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3",
      [
        "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end",
        "select 3",
      ],
    ],
    ["a transaction", "begin; select 1; end", ["begin", "select 1", "end"]],
  ])("%s", (_, script, statements) => {
    expect(texts(script)).toEqual(statements);
  });

  test("each has the line of its first word", () => {
    const script = "-- a\n\nselect 1;\n/* b\n */ select\n 2; select 3";
    expect(splitStatements(script).map(({ line }) => line)).toEqual([3, 5, 6]);
  });

  test("the tokens make up the text", () => {
    const script = "select /* a */ :payload ->> 'a' ; select $$b$$";
    for (const { text, tokens } of splitStatements(script)) {
      expect(tokens.map((token) => token.text).join("")).toBe(text);
      for (const token of tokens) expect(text.startsWith(token.text, token.at)).toBe(true);
    }
  });
});

/** What PostgreSQL's scanner and this one call the same: each token but for blanks, with operators in one. */
type Scanned = readonly [kind: string, text: string, at: number];

function ours(script: string): Scanned[] {
  const bytesBefore = (at: number): number => Buffer.byteLength(script.slice(0, at));
  return merged(
    Array.from(tokensOf(script)).flatMap(({ kind, text, at }: Token): Scanned[] => {
      const from = bytesBefore(at);
      if (kind === "blank") return [];
      if (kind === "parameter" && text.startsWith(":"))
        return [
          ["other", ":", from],
          ["word", text.slice(1), from + 1],
        ];
      return [[kind === "quoted" ? "word" : kind, text, from]];
    }),
  );
}

/** https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/parser/scanner.h and libpg_query's protobuf. */
const KINDS: Readonly<Record<number, string>> = {
  258: "word", // IDENT
  259: "word", // UIDENT
  260: "number", // FCONST
  261: "string", // SCONST
  262: "string", // USCONST
  263: "string", // BCONST
  264: "string", // XCONST
  266: "number", // ICONST
  267: "parameter", // PARAM
  275: "blank",
  276: "blank",
};

/**
 * In the server, a literal also goes on behind a comment and a line break. libpg_query returns comments as tokens, and
 * so ends the literal there.
 */
const COMMENT_IN_LITERAL = /'\s*--[^\n\r]*[\n\r](?:\s|--[^\n\r]*[\n\r])*'/;

function theirs(script: string): Scanned[] | undefined {
  if (COMMENT_IN_LITERAL.test(script)) return undefined;
  try {
    const bytes = Buffer.from(script);
    const { tokens } = scanSync(script) as {
      tokens: { start: number; end: number; tokenType: number; keywordKind: number }[];
    };
    return merged(
      tokens.flatMap(({ start, end, tokenType, keywordKind }): Scanned[] => {
        const kind = keywordKind === 0 ? (KINDS[tokenType] ?? "other") : "word";
        return kind === "blank" ? [] : [[kind, bytes.subarray(start, end).toString(), start]];
      }),
    );
  } catch {
    return undefined; // PostgreSQL refuses it
  }
}

function merged(tokens: readonly Scanned[]): Scanned[] {
  const all: Scanned[] = [];
  for (const [kind, text, at] of tokens) {
    const last = all.at(-1);
    if (kind === "other" && last?.[0] === "other" && last[2] + last[1].length === at)
      all.splice(-1, 1, ["other", last[1] + text, last[2]]);
    else all.push([kind, text, at]);
  }
  return all;
}

// Pieces that mean something else beside each other.
const PIECES = [
  Array.from("abeEnNuUxXB&'\"$;:=\\-/*@+|.[](),_019é\n \t\r\f"),
  ["::", ":=", "--", "/*", "*/", "''", '""', "$$", "$a$", "$é1$", "E'", "e'\\'", "U&'", 'U&"', "N'", "x'"],
  [":payload", ":type", "$1", "select", "1.5e-3", "1..2", "0x1F", "1_0", "b'1'", "\\'", "'\n'", "'a'"],
].flat();

describe("PostgreSQL's own scanner", () => {
  test("finds the same tokens in random scripts", () => {
    let accepted = 0;
    assert(
      property(array(constantFrom(...PIECES), { maxLength: 14 }), (pieces) => {
        const script = pieces.join("");
        const expected = theirs(script);
        if (expected === undefined) return;
        accepted++;
        expect(ours(script)).toEqual(expected);
      }),
      { numRuns: Number(process.env["HOOKONCE_SCRIPTS"] ?? 10_000) },
    );
    expect(accepted).toBeGreaterThan(1000);
  }, 60_000);
});
