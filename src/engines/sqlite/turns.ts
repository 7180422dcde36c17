/** The longest time that deliveries wait for counts, in milliseconds. */
const MAX_TURN_MS = 3;

/** Returns a function that yields if this turn has used up its time. Call it between two short queries. */
export function createTurn(): () => Promise<void> | undefined {
  let until = performance.now() + MAX_TURN_MS;
  return () => {
    if (performance.now() < until) return undefined;
    return Bun.sleep(0).then(() => void (until = performance.now() + MAX_TURN_MS));
  };
}
