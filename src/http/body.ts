import { HookonceError, messageOf } from "../errors.ts";
import type { Admission } from "../providers/admission.ts";

/**
 * Limits how many bytes of bodies are in memory at once, being read or waiting in the queue. Beyond that the
 * answer is 503.
 */
export interface ByteBudget {
  /** Reserves bytes. Returns false, and reserves nothing, if they do not fit. */
  take(bytes: number): boolean;
  /** Releases reserved bytes. */
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

/** Memory that a delivery takes beside its body, in bytes: headers, promises, a place in the queue. */
const OVERHEAD = 2048;

/** Bodies up to this size, in bytes, are read with one call, which is faster than reading chunks. */
const AT_ONCE = 64 * 1024;

/**
 * Reads the raw bytes of the body. They are read exactly once, so the bytes that are verified and stored are
 * the bytes that were received. The caller must call {@link releaseBody} once the answer is known.
 *
 * @param declared the Content-Length header, which {@link Admission} has compared with the source's limit
 * @throws HookonceError `body_too_large`, `overloaded`, `incomplete_body`, or what the admission throws
 */
export async function readBody(
  request: Request,
  declared: string | undefined,
  admission: Admission,
  budget: ByteBudget,
): Promise<Uint8Array> {
  const length = Number(declared ?? Number.POSITIVE_INFINITY);
  // Memory for a large body is reserved as its chunks arrive. Otherwise three connections that declare 25 MiB
  // and send nothing would use up the whole budget.
  if (length > AT_ONCE) return readChunks(request, admission, budget);
  const held = length + OVERHEAD;
  if (!budget.take(held)) throw noRoom();
  try {
    const bytes = new Uint8Array(await request.arrayBuffer());
    budget.give(length - bytes.byteLength);
    return bytes;
  } catch (error) {
    budget.give(held);
    throw new HookonceError("incomplete_body", `The body is incomplete: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Releases the memory of a body that {@link readBody} has read. */
export function releaseBody(bytes: Uint8Array, budget: ByteBudget): void {
  budget.give(bytes.byteLength + OVERHEAD);
}

async function readChunks(
  request: Request,
  { maxBytes, refuse }: Admission,
  budget: ByteBudget,
): Promise<Uint8Array> {
  let held = OVERHEAD;
  if (!budget.take(held)) throw noRoom();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.byteLength;
      if (length > maxBytes) throw refuse();
      if (!budget.take(chunk.byteLength)) throw noRoom();
      held += chunk.byteLength;
      chunks.push(chunk);
    }
  } catch (error) {
    budget.give(held);
    if (error instanceof HookonceError) throw error;
    throw new HookonceError("incomplete_body", `The body is incomplete: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return Buffer.concat(chunks);
}

function noRoom(): HookonceError {
  return new HookonceError("overloaded", "Too many deliveries are waiting. Try again later.");
}
