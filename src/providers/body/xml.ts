import { HookonceError } from "../../errors.ts";

/** An element of an XML document, with what hookonce needs of it. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The text between its tags, without that of its children. */
  readonly text: string;
}

interface Open extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/** SQLite's JSON functions fail at about 1,000 levels, and the payload becomes JSON. */
const MAX_DEPTH = 900;

const NAME = String.raw`[\p{L}_][\p{L}\p{N}_.:-]*`;
const TAG = new RegExp(`<(/?)(${NAME})((?:\\s+${NAME}\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(/?)>`, "uy");
const ATTRIBUTE = new RegExp(`(${NAME})\\s*=\\s*(?:"([^"<]*)"|'([^'<]*)')`, "gu");

/**
 * Reads elements, attributes, text, CDATA and comments. Document types are refused, because with entities a
 * small text can become a huge one. The time is linear in the length of the text.
 *
 * @throws HookonceError `invalid_xml`
 */
export function readXml(text: string): XmlElement {
  const holder: Open = { name: "", attributes: {}, children: [], text: "" };
  const open: Open[] = [holder];
  let at = 0;
  while (at < text.length) {
    const within = open.at(-1) as Open;
    const next = text.indexOf("<", at);
    const end = next === -1 ? text.length : next;
    within.text += decoded(text.slice(at, end));
    if (next === -1) break;
    const skipped = skipOf(text, next);
    if (skipped !== undefined) {
      if (skipped.cdata) within.text += text.slice(next + "<![CDATA[".length, skipped.end - "]]>".length);
      at = skipped.end;
      continue;
    }
    TAG.lastIndex = next;
    const [tag, closing, name = "", attributes = "", empty] = TAG.exec(text) ?? [];
    if (tag === undefined) throw invalid("it has a tag that cannot be read");
    at = next + tag.length;
    if (closing === "/") {
      if (within === holder || within.name !== name) throw invalid("its tags do not match");
      open.pop();
      continue;
    }
    const element: Open = { name, attributes: attributesIn(attributes), children: [], text: "" };
    within.children.push(element);
    if (empty !== "/") open.push(element);
    if (open.length > MAX_DEPTH) throw invalid(`it has more than ${MAX_DEPTH} levels`);
  }
  const [root, ...others] = holder.children;
  if (root === undefined || others.length > 0 || open.length > 1 || holder.text.trim() !== "")
    throw invalid("it is not one element");
  return root;
}

/** Where a comment, a declaration or a CDATA section ends. Undefined if none begins here. */
function skipOf(text: string, at: number): { end: number; cdata: boolean } | undefined {
  const kinds = [
    ["<![CDATA[", "]]>"],
    ["<!--", "-->"],
    ["<?", "?>"],
  ] as const;
  for (const [opening, closing] of kinds) {
    if (!text.startsWith(opening, at)) continue;
    const found = text.indexOf(closing, at + opening.length);
    if (found === -1) throw invalid(`${opening} has no end`);
    return { end: found + closing.length, cdata: opening === "<![CDATA[" };
  }
  return undefined;
}

function attributesIn(text: string): Record<string, string> {
  const pairs = Array.from(text.matchAll(ATTRIBUTE), ([, name = "", double, single]) => [
    name,
    decoded(double ?? single ?? ""),
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["quot", '"'],
  ["apos", "'"],
]);

function decoded(text: string): string {
  if (!text.includes("&")) return text;
  return text.replaceAll(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{1,8}));|&/giu, (found, decimal, hex, name) => {
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(String(hex), 16);
    const character = name === undefined ? characterOf(code) : ENTITIES.get(String(name));
    if (character === undefined) throw invalid(`it has ${found}, which hookonce does not know`);
    return character;
  });
}

function characterOf(code: number): string | undefined {
  const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : undefined;
}

function invalid(why: string): HookonceError {
  return new HookonceError("invalid_xml", `The payload is not XML that hookonce can read: ${why}.`);
}
