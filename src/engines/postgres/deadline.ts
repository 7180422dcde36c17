import type { Wire } from "./wire.ts";

/**
 * Waits for work on a connection for a limited time. Then the connection is dropped, which rejects what is pending: a
 * server that is frozen, or whose network is gone, may not answer for hours.
 */
export async function within<Result>(
  wire: Pick<Wire, "drop">,
  ms: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const timer = setTimeout(() => void wire.drop(), ms);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
