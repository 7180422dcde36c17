/** The most bytes that are read. Then the connection is closed, because the rest would only cost time. */
const MAX_READ = 64 * 1024;

/** The most bytes of text that are kept. */
const MAX_KEPT = 4 * 1024;

/** Twice as much, so that a secret at the end of what is kept is seen whole and hidden. */
const MAX_SEARCHED = 2 * MAX_KEPT;

/**
 * Reads the beginning of an answer as text, and never rejects: once the status is known, only the shown text
 * depends on the body. A body that is read to its end lets the next message use the same connection.
 *
 * @param close closes the connection
 * @param hide replaces secrets
 */
export async function readAnswer(
  body: ReadableStream<Uint8Array> | null,
  close: () => void,
  hide: (text: string) => string,
): Promise<string> {
  if (body === null) return "";
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length < MAX_SEARCHED) chunks.push(value.slice(0, MAX_SEARCHED - length));
      length += value.byteLength;
      if (length >= MAX_READ) {
        close();
        break;
      }
    }
  } catch {
    // The receiver closed the connection, or the time is over. What was read stays.
  }
  // While more may follow, half a character at the end is left out.
  const text = new TextDecoder().decode(Buffer.concat(chunks), { stream: length > MAX_SEARCHED });
  return cut(hide(text));
}

function cut(text: string): string {
  const kept = new Uint8Array(MAX_KEPT);
  // encodeInto writes whole characters only.
  return text.slice(0, new TextEncoder().encodeInto(text, kept).read);
}
