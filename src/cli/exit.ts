/** What a command's end means to a shell. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** Every refusal is a failure; only a command line that cannot be read is wrong usage. */
export function exitCodeOf(_error: unknown): number {
  return EXIT.failed;
}
