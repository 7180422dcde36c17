import { HookonceError } from "../errors.ts";

/** Why an event cannot be run or sent once more: a handler or a receiver would take what is left for its values. */
export function eventRedacted(eventId: string): HookonceError {
  return new HookonceError(
    "event_redacted",
    `Values of the event "${eventId}" were replaced once it was done, so it can neither be run nor sent again. They are named in redact.`,
  );
}
