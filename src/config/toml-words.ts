/** What is wrong in a TOML document, and in which line, counted from 1. */
export interface TomlMistake {
  readonly message: string;
  readonly line: number;
}

const KEY_VALUE = /^\s*(?<key>[\w."'-]+)\s*=\s*(?<value>.*)$/;
const HEADER = /^\s*(?<header>\[[^#]*\])\s*(?:#.*)?$/;

/**
 * Says in plain words what the parser has found, if it is one of the usual mistakes. Never shows a value, because
 * it may be a secret.
 */
export function inPlainWords(text: string, { message, line }: TomlMistake): TomlMistake {
  const lines = text.split(/\r?\n/);
  const at = lines[line - 1] ?? "";
  const open = unclosedIn(lines, line);
  if (open !== undefined) return open;
  const said = sentenceOn(at, message) ?? repeated(lines, line, message);
  return { line, message: said ?? message };
}

/**
 * A bracket in this line, or in the last one before it that is not empty, is not closed. The parser complains about
 * what follows.
 */
function unclosedIn(lines: readonly string[], line: number): TomlMistake | undefined {
  let before = line - 1;
  while (before > 0 && /^\s*(?:#.*)?$/.test(lines[before - 1] ?? "")) before--;
  for (const each of [line, before]) {
    const header = /^\s*(\[[\w.\s"'-]+?)\s*(?:#.*)?$/.exec(lines[each - 1] ?? "")?.[1];
    if (header !== undefined)
      return { line: each, message: `the bracket of the table is not closed: write ${header}]` };
  }
  // Inside a list there is no key and no table. Inside braces there is, so those must not be closed later either.
  const follows = lines.slice(line - 1).join("\n");
  if (follows.trim() !== "" && !KEY_VALUE.test(lines[line - 1] ?? "") && !/^\s*\[/.test(follows))
    return undefined;
  const value = KEY_VALUE.exec(lines[before - 1] ?? "")?.groups?.["value"] ?? "";
  if (/^\[[^\]]*$/.test(value))
    return { line: before, message: "the bracket of the list is not closed: add ]" };
  if (/^\{[^}]*$/.test(value) && !/^[^{[]*\}/.test(follows))
    return { line: before, message: "the brace is not closed: add }" };
  return undefined;
}

function sentenceOn(text: string, message: string): string | undefined {
  if (message.startsWith("Invalid character in escape"))
    return String.raw`a backslash between double quotes begins an escape sequence. Write the value in single quotes, as in 'C:\data\app.db', or a path with /`;
  if (message.startsWith("Unterminated string")) return "the quotation mark is not closed on its line";
  if (/[“”„‘’]/.test(text)) return `“ and ” are not quotation marks in TOML: write "`;
  const colon = /^\s*([\w.-]+)\s*:/.exec(text)?.[1];
  if (colon !== undefined) return `write = between a key and its value, as in ${colon} = "…"`;
  const { key = "", value = "" } = KEY_VALUE.exec(text)?.groups ?? {};
  if (key === "" || !/^Unexpected character|^Must be a newline|^Unspecified/.test(message)) return undefined;
  if (/^(?:true|false)\b/i.test(value))
    return `write ${value.slice(0, 5).trim().toLowerCase()} in lower case`;
  return /^[^"'[{\s#]/.test(value) ? `the value is not in quotes: write ${key} = "…"` : undefined;
}

function repeated(lines: readonly string[], line: number, message: string): string | undefined {
  if (!message.startsWith("Defining a key multiple times")) return undefined;
  const text = lines[line - 1] ?? "";
  const header = HEADER.exec(text)?.groups?.["header"];
  const earlier = lines.slice(0, line - 1);
  if (header !== undefined) {
    const first = earlier.findIndex((one) => HEADER.exec(one)?.groups?.["header"] === header) + 1;
    return first === 0
      ? `${header} is already defined`
      : `${header} is already defined on line ${first}: put its keys there, or give one of the two another name`;
  }
  const key = KEY_VALUE.exec(text)?.groups?.["key"];
  if (key === undefined) return undefined;
  const first = earlier.findLastIndex((one) => KEY_VALUE.exec(one)?.groups?.["key"] === key) + 1;
  return `${key} is already set${first === 0 ? "" : ` on line ${first}`}: remove one of the two`;
}
