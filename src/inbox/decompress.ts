import { nodeZlib } from "../providers/node-modules.ts";

/** The largest `max_body`, in bytes. No delivery inflates to more. */
const MAX_BYTES = 60 * 1024 * 1024;

/**
 * A body without its compression. A delivery is stored as it was received, which may be gzip. What handlers enqueue may
 * be compressed in other ways.
 *
 * @param encoding its Content-Encoding
 * @returns undefined if it is not compressed, cannot be read, or inflates to more than any delivery may
 */
export async function decompressed(
  body: Uint8Array,
  encoding: string | undefined,
): Promise<Uint8Array | undefined> {
  if (encoding === undefined) return undefined;
  const decompress = decompressors()[encoding.trim().toLowerCase()];
  try {
    return await decompress?.(body, { maxOutputLength: MAX_BYTES });
  } catch {
    return undefined;
  }
}

interface Limit {
  readonly maxOutputLength: number;
}
type Ended = (error: Error | null, result: Uint8Array) => void;
type Decompress = (body: Uint8Array, limit: Limit) => Promise<Uint8Array>;

function decompressors(): Readonly<Record<string, Decompress>> {
  const { gunzip, inflate, brotliDecompress, zstdDecompress } = nodeZlib();
  return {
    gzip: waiting(gunzip),
    "x-gzip": waiting(gunzip),
    deflate: waiting(inflate),
    br: waiting(brotliDecompress),
    zstd: waiting(zstdDecompress),
  };
}

// A start of serve does not load node:util, which has the same as promisify.
const waiting =
  (decompress: (body: Uint8Array, limit: Limit, ended: Ended) => void): Decompress =>
  (body, limit) =>
    new Promise((resolve, reject) => {
      decompress(body, limit, (error, result) => (error === null ? resolve(result) : reject(error)));
    });
