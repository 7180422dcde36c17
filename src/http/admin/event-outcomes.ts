/** Every outcome of an event. The last three are owed. */
export const EVENT_OUTCOMES = [
  "processed",
  "imported",
  "ignored",
  "stale",
  "discarded",
  "unhandled",
  "failed",
  "held",
] as const;
