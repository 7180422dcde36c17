import { HookonceError } from "../errors.ts";

/** Reads the lines of a text file of any size. If a file is not text, says what it is. */

/** A longer line is not a list of events. */
const MAX_LINE = 16 * 1024 * 1024;

/** First bytes of files that are not text, and what to do with them. */
const BINARY: readonly (readonly [begins: string, what: string])[] = [
  ["PK\u0003\u0004", "a ZIP file or an Excel workbook. In Excel, save it as “CSV UTF-8”"],
  ["\u00D0\u00CF\u0011\u00E0", "an Excel workbook. In Excel, save it as “CSV UTF-8”"],
  ["\u001F\u008B", "compressed with gzip. Pipe the text: gunzip -c FILE | hookonce import - --source NAME"],
  [
    "SQLite format 3\u0000",
    "an SQLite database. Export the ids with sqlite3 -csv -header FILE 'select … as event_id from …'",
  ],
];

/**
 * Yields lines without their breaks, which are `\n`, `\r\n` or, in a file without `\n`, `\r`. The text is
 * UTF-8, or UTF-16 with a byte order mark.
 *
 * @param signal ends it early
 * @throws HookonceError `file_unreadable`
 */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  let text: TextDecoder | undefined;
  let end = "\n";
  let rest = "";
  let count = 0;

  function decoded(bytes: Uint8Array, isLast: boolean): string {
    text ??= decoderFor(bytes);
    try {
      return text.decode(bytes, { stream: !isLast });
    } catch (cause) {
      const message = `${count === 0 ? "The" : `After line ${count}, the`} text is not UTF-8. Save the file as UTF-8.`;
      throw new HookonceError("file_unreadable", message, { cause });
    }
  }

  for await (const bytes of untilAborted(stream, signal)) {
    const chunk = decoded(bytes, false);
    if (count === 0 && rest === "" && !chunk.includes("\n") && chunk.includes("\r")) end = "\r";
    const lines = (rest + chunk).split(end);
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE)
      throw new HookonceError(
        "file_unreadable",
        `Line ${count + lines.length + 1} is longer than 16 MiB. Write one event per line.`,
      );
    count += lines.length;
    if (lines.length > 0) yield lines.map(withoutReturn);
  }
  if (signal.aborted) return;
  rest += text === undefined ? "" : decoded(new Uint8Array(), true);
  if (rest !== "") yield [withoutReturn(rest)];
}

const withoutReturn = (line: string): string => (line.endsWith("\r") ? line.slice(0, -1) : line);

function decoderFor(bytes: Uint8Array): TextDecoder {
  const start = Buffer.from(bytes.subarray(0, 4096));
  const [first, second] = start;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le", { fatal: true });
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be", { fatal: true });
  const head = start.toString("latin1");
  const known = BINARY.find(([begins]) => head.startsWith(begins));
  if (known !== undefined) throw new HookonceError("file_unreadable", `The file is ${known[1]}.`);
  if (start.includes(0))
    throw new HookonceError(
      "file_unreadable",
      "The file is not text: it contains zero bytes. If it is UTF-16 without a byte order mark, save it as UTF-8.",
    );
  return new TextDecoder("utf-8", { fatal: true });
}

/** Standard input may bring nothing for a long time, and Ctrl+C ends the wait. */
async function* untilAborted(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    while (!signal.aborted) {
      const read = await Promise.race([reader.read(), aborted]);
      if (read === undefined || read.done) return;
      if (read.value.length > 0) yield read.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
