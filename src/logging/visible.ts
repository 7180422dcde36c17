/**
 * Characters that control a terminal or that it does not show: control characters except the tab, direction
 * marks and other invisible characters, line separators, and halves of surrogate pairs.
 */
const HIDDEN = /(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The same, except line breaks. */
const HIDDEN_IN_LINES = /(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * Text from outside, such as an id, a type or an error, made safe to show. Hidden characters are shown as
 * JSON writes them, so that they cannot move the cursor, or reorder or imitate the text beside them. Lines
 * after the first are indented, so that they do not look like log lines.
 */
export function visible(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.replace(HIDDEN, shown))
    .join("\n    ");
}

/** Text of several lines, in which hidden characters are shown. Changes nothing in text that is visible. */
export function visibleLines(text: string): string {
  return BEYOND_ASCII.test(text) ? text.replace(HIDDEN_IN_LINES, shown) : text;
}

/** All hidden characters and lone surrogates are beyond this. Most lines of the log have none. */
const BEYOND_ASCII = /[^\n\x20-\x7e]/;

/**
 * JSON with the same content, in which hidden characters are escaped. JSON itself escapes only those below
 * U+0020, and people read a log in JSON on a terminal, too.
 */
export function visibleJson(json: string): string {
  return BEYOND_ASCII.test(json) ? json.replace(HIDDEN_IN_LINES, escaped) : json;
}

function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");
}

function shown(character: string): string {
  const code = (character.codePointAt(0) as number).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}
