/**
 * Characters that control a terminal or that it does not show: control characters except the tab, direction
 * marks and other invisible characters, line separators, and halves of surrogate pairs.
 */
const HIDDEN = /(?!\t)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

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

function shown(character: string): string {
  const code = (character.codePointAt(0) as number).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}
