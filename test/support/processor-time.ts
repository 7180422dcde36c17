/**
 * Measures how long this process computes, with all of its threads, in milliseconds. Unlike the time on the
 * clock, this does not grow while other processes use the processor.
 */
export async function processorTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * The least of several runs: the garbage collector may run during some of them, and code becomes fast only
 * after a few.
 *
 * @param enough ends the runs as soon as one takes no longer, in milliseconds
 */
export async function leastProcessorTime(work: () => unknown, runs: number, enough = 0): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs && least > enough; run++) least = Math.min(least, await processorTime(work));
  return least;
}
