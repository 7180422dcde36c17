import { readFileSync } from "node:fs";
import { HookonceError } from "../errors.ts";

/**
 * Reads a text file that a person has written, without the byte order mark that editors on Windows put before
 * it.
 *
 * @throws HookonceError `config_invalid` if it is UTF-16, which `>` of Windows PowerShell writes; and the
 *   errors of readFileSync
 */
export function readTextFile(path: string): string {
  return withoutMark(readMarkedTextFile(path));
}

/** The same, with the mark, for a file whose digest is recorded. */
export function readMarkedTextFile(path: string): string {
  const bytes = readFileSync(path);
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new HookonceError("config_invalid", "the file is UTF-16. Save it as UTF-8");
  return bytes.toString("utf8");
}

export function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}
