/** Exit codes. Every refusal is `failed`; `usage` means only that the command line is wrong. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
