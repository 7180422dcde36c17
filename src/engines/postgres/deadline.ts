import { unavailable } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/**
 * Waits for work on a connection for a limited time. Then the connection is dropped, which rejects what is pending.
 *
 * @throws HookonceError `database_unreachable` if the time is over, and what `work` throws
 */
export async function within<Result>(
  wire: Pick<Wire, "drop">,
  ms: number,
  work: () => Promise<Result>,
): Promise<Result> {
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    void wire.drop();
  }, ms);
  try {
    return await work();
  } catch (error) {
    throw isOver ? unavailable("away", new Error(`it has not answered within ${ms / 1000} s`)) : error;
  } finally {
    clearTimeout(timer);
  }
}
