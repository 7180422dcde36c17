/**
 * The command line is wrong in a way that only the command itself can see. Ends it with exit code 2 and its
 * help.
 */
export class UsageError extends Error {}
