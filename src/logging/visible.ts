/**
 * What a terminal acts on or does not show: control characters, marks of direction and other invisible characters,
 * separators of lines, and halves of surrogate pairs. The tab is none.
 */
const HIDDEN = /(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * Text from outside, such as an id, a type or an error, as a person may read it. Hidden characters are shown as JSON
 * writes them, so that they can neither move the cursor nor reorder or imitate what stands beside them. Lines after the
 * first are indented: they must not look like lines of the log.
 */
export function visible(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.replace(HIDDEN, shown))
    .join("\n    ");
}

function shown(character: string): string {
  const code = (character.codePointAt(0) as number).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}
