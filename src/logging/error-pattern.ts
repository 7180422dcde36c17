/** A word with a digit: a number, an id, a time. */
const VARIES = /[\w-]*\d(?:[\w.,:-]*\w)?/g;

/**
 * What is alike in the messages of one failure: `no customer cus_1Nx` and `no customer cus_2Ab` are the same.
 * Without this, a handler that names the event's id in its message fails in as many ways as there are events.
 */
export const patternOf = (error: string): string => error.replaceAll(VARIES, "…");
