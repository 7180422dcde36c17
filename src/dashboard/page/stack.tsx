import { useState } from "hono/jsx/dom";
import { visible } from "./words.ts";

/** The most characters that are shown. */
const SHOWN = 8000;

/** A stack trace. First only the lines of the user's own files. */
export function Stack({ text }: { readonly text: string }) {
  const [isWhole, setWhole] = useState(false);
  const own = ownLinesOf(text);
  const shown = isWhole || own === undefined ? text : own;
  return (
    <>
      <pre tabIndex={0}>{visible(shown).slice(0, SHOWN)}</pre>
      {own === undefined || own === text ? null : (
        <button type="button" class="small" onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Only my files" : "The whole stack"}
        </button>
      )}
    </>
  );
}

/** Undefined if none of them is in the inbox folder. */
function ownLinesOf(stack: string): string | undefined {
  const frames = stack.split("\n").filter((line) => /^\s*at .*handlers\//.test(line));
  if (frames.length === 0) return undefined;
  return frames
    .map((line) => line.replace(/\(?(?:file:\/\/)?[^\s(]*?\/(handlers\/[^)]*)\)?$/, "$1").trim())
    .join("\n");
}
