/** The end of what a command prints. */
export interface OutputTail {
  /** Resolves when no process has the output open any more. */
  readonly ended: Promise<void>;
  text(): string;
}

/**
 * Reads a command's output to its end and keeps the last bytes of it, however much is printed. It goes on
 * after the attempt: a program that the command left in the background would otherwise die when it prints.
 */
export function keepTail(streams: readonly ReadableStream<Uint8Array>[], maxBytes: number): OutputTail {
  let tail = new Uint8Array();
  async function read(stream: ReadableStream<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of stream) {
        // Copied, because a part of a chunk would keep all of it in memory.
        tail = Uint8Array.from(Buffer.concat([tail, chunk.subarray(-maxBytes)]).subarray(-maxBytes));
        // Let others run after each chunk. Without this, a command that prints a gigabyte holds them up for
        // 150 ms; with it, for 6 ms.
        await new Promise(setImmediate);
      }
    } catch {
      // What was read until then is kept.
    }
  }
  const ended = Promise.all(streams.map(read)).then(() => {});
  return { ended, text: () => decodeTail(tail, tail.length === maxBytes) };
}

/** @param isCut whether it may begin in the middle of a character */
function decodeTail(tail: Uint8Array, isCut: boolean): string {
  let from = 0;
  // The later bytes of a character in UTF-8 are 10xxxxxx. There are at most three.
  if (isCut) while (from < 3 && ((tail[from] ?? 0) & 0xc0) === 0x80) from++;
  return new TextDecoder().decode(tail.subarray(from));
}
