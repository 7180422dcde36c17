import { wrapped } from "../logging/wrap.ts";

/**
 * What a command writes for people. On a terminal it is wrapped at its width, and the kind of a line has a
 * colour.
 */

const COLOURS: Readonly<Record<string, string>> = {
  error: "\u001B[31m",
  hookonce: "\u001B[31m",
  warning: "\u001B[33m",
  note: "\u001B[36m",
  "not checked": "\u001B[33m",
};
const RESET = "\u001B[39m";
const KIND = /^(error|hookonce|warning|note|not checked)(?=:)/gm;

/** Writes a text and a line break to standard output. */
export function say(text: string): void {
  process.stdout.write(`${forTerminal(text, process.stdout)}\n`);
}

/** The same to standard error. Not console.error, which a start takes over for the output of handlers. */
export function complain(text: string): void {
  process.stderr.write(`${forTerminal(text, process.stderr)}\n`);
}

function forTerminal(text: string, stream: NodeJS.WriteStream): string {
  if (!stream.isTTY) return text;
  const lines = wrapped(text, stream.columns);
  return hasColours() ? lines.replace(KIND, (kind) => `${COLOURS[kind] ?? ""}${kind}${RESET}`) : lines;
}

/** https://no-color.org */
function hasColours(): boolean {
  const { NO_COLOR: none, TERM: terminal } = process.env;
  return (none === undefined || none === "") && terminal !== "dumb";
}
