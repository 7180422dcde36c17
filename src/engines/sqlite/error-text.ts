import { messageOf } from "../../errors.ts";
import { stackWithPlace } from "../error-place.ts";

/**
 * An error's message and stack, as they are stored. SQLite's functions end a text at its first NUL, so in lists and
 * searches the rest would be lost.
 */
export function storedError(error: unknown): readonly [message: string, stack: string | null] {
  return [withoutNul(messageOf(error)), withoutNul(stackWithPlace(error) ?? "") || null];
}

const withoutNul = (text: string): string => text.replaceAll("\0", "\\u0000");
