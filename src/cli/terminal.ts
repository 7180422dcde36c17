import { visibleJson, visibleLines } from "../logging/visible.ts";
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
  process.stdout.write(`${forPeople(text, process.stdout)}\n`);
}

/** The same to standard error. Not console.error, which a start takes over for the output of handlers. */
export function complain(text: string): void {
  process.stderr.write(`${forPeople(text, process.stderr)}\n`);
}

/** Writes lines that fit the terminal already. */
export function sayTable(lines: readonly string[]): void {
  process.stdout.write(`${visibleLines(lines.join("\n"))}\n`);
}

/** Writes one line of JSON for programs. Its content is the same, and a terminal shows all of it. */
export function sayJson(json: string): void {
  process.stdout.write(`${visibleJson(json)}\n`);
}

/** Shows progress in one line of a terminal, which the next text replaces. An empty text removes it. */
export function progress(text: string): void {
  if (process.stderr.isTTY && (text !== "" || isProgressShown))
    process.stderr.write(`\r\u001B[K${visibleLines(text)}`);
  isProgressShown = text !== "";
}

let isProgressShown = false;

/** Removes everything from a terminal, and from its history. */
export function clearScreen(): void {
  if (process.stdout.isTTY) process.stdout.write("\u001B[H\u001B[2J\u001B[3J");
}

/** Text from outside is made visible once more here, so that no command can forget it. */
function forPeople(text: string, stream: NodeJS.WriteStream): string {
  const shown = visibleLines(text);
  if (!stream.isTTY) return shown;
  const lines = wrapped(shown, stream.columns);
  return hasColours() ? lines.replace(KIND, (kind) => `${COLOURS[kind] ?? ""}${kind}${RESET}`) : lines;
}

/** https://no-color.org */
function hasColours(): boolean {
  const { NO_COLOR: none, TERM: terminal } = process.env;
  return (none === undefined || none === "") && terminal !== "dumb";
}
