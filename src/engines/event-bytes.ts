import type { Incoming } from "./engine.ts";

/** Returns the bytes that belong to this event alone. In a batch, that is the event's element. */
export function ownBytes({ input, batch }: Pick<Incoming, "input" | "batch">): Uint8Array {
  return batch === undefined ? input.body : Buffer.from(input.payloadJson ?? "");
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return Bun.SHA256.hash(bytes) as Uint8Array;
}
