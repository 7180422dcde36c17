import { createMiddleware } from "hono/factory";
import { HookonceError } from "../../errors.ts";
import type { AdminEnv } from "./routing.ts";

/**
 * Limits of the JSON that is parsed for the API. JSON.parse cannot be interrupted, and the deliveries wait for it:
 * 145 ms for 250,000 keys in 4 MiB, and 450 ms for 600,000 in a request.
 */
const MAX_PARTS = 100_000;
const MAX_KEYS = 1000;
/** An import has an array for each of its 50,000 events. */
const MAX_ARRAYS = 100_000;

const [QUOTE, COMMA, COLON, ARRAY, ESCAPE, OBJECT] = Buffer.from('",:[\\{') as unknown as readonly number[];

/** Whether a payload has so many values that showing it would take too long. Text with many commas counts, too. */
export function hasTooManyParts(body: Uint8Array): boolean {
  let parts = 0;
  for (let at = 0; at < body.length && parts <= MAX_PARTS; at++) {
    const byte = body[at];
    if (byte === COMMA || byte === COLON || byte === ARRAY || byte === OBJECT) parts++;
  }
  return parts > MAX_PARTS;
}

/** Refuses a request with more keys or arrays than any that fits the API. */
export const limitJson = createMiddleware<AdminEnv>(async (c, next) => {
  if (c.req.raw.body !== null && hasTooMany(new Uint8Array(await c.req.arrayBuffer())))
    throw new HookonceError(
      "invalid_request",
      `The request is invalid: its body has more than ${MAX_KEYS} keys or ${MAX_ARRAYS} arrays.`,
    );
  await next();
});

function hasTooMany(body: Uint8Array): boolean {
  let keys = 0;
  let arrays = 0;
  let isText = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) isText = !isText;
    else if (isText) at += byte === ESCAPE ? 1 : 0;
    else if (byte === COLON || byte === OBJECT) keys++;
    else if (byte === ARRAY) arrays++;
    if (keys > MAX_KEYS || arrays > MAX_ARRAYS) return true;
  }
  return false;
}
