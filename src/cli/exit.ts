/** What a command's end means to a shell. Every refusal is `failed`; only a command line that cannot be read is `usage`. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
