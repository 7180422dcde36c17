import { HookonceError, messageOf } from "../errors.ts";

/** How many bytes of bodies may be in memory at once, being read or waiting: beyond that the answer is 503. */
export interface ByteBudget {
  /** False when there is no room. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export function createByteBudget(total: number): ByteBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > total) return false;
      taken += bytes;
      return true;
    },
    give(bytes) {
      taken -= bytes;
    },
  };
}

/** What a delivery takes besides its body: headers, promises, a place in the queue. In bytes. */
const OVERHEAD = 2048;

/** A body up to this size is read in one go, which is faster. In bytes. */
const AT_ONCE = 64 * 1024;

/**
 * Reads the raw bytes, once: what is verified and stored is what came over the wire. Their share of the budget is to be given back once
 * the answer is known: {@link releaseBody}.
 *
 * @param declared the Content-Length
 * @param limit in bytes
 * @throws HookonceError `body_too_large`, `overloaded`, `incomplete_body`
 */
export async function readBody(
  request: Request,
  declared: string | undefined,
  limit: number,
  budget: ByteBudget,
): Promise<Uint8Array> {
  const length = Number(declared ?? Number.POSITIVE_INFINITY);
  if (declared !== undefined && length > limit) throw tooLarge(limit);
  // Room for a large body is taken as it comes: three connections that declare 25 MiB and send nothing must not keep out everybody.
  if (length > AT_ONCE) return readChunks(request, limit, budget);
  const held = length + OVERHEAD;
  if (!budget.take(held)) throw noRoom();
  try {
    const bytes = new Uint8Array(await request.arrayBuffer());
    budget.give(length - bytes.byteLength);
    return bytes;
  } catch (error) {
    budget.give(held);
    throw new HookonceError("incomplete_body", `The body ended before its time: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export function releaseBody(bytes: Uint8Array, budget: ByteBudget): void {
  budget.give(bytes.byteLength + OVERHEAD);
}

async function readChunks(request: Request, limit: number, budget: ByteBudget): Promise<Uint8Array> {
  let held = OVERHEAD;
  if (!budget.take(held)) throw noRoom();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.byteLength;
      if (length > limit) throw tooLarge(limit);
      if (!budget.take(chunk.byteLength)) throw noRoom();
      held += chunk.byteLength;
      chunks.push(chunk);
    }
  } catch (error) {
    budget.give(held);
    if (error instanceof HookonceError) throw error;
    throw new HookonceError("incomplete_body", `The body ended before its time: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return Buffer.concat(chunks);
}

function tooLarge(limit: number): HookonceError {
  return new HookonceError(
    "body_too_large",
    `The body is larger than the ${limit} bytes that this source takes (max_body).`,
  );
}

function noRoom(): HookonceError {
  return new HookonceError("overloaded", "Too many deliveries are waiting; try again.");
}
