/** What happens to the events of a source, in words: its handlers, and the destinations that get its events. */
export function whatRuns(handlers: readonly string[], destinations: readonly string[]): string {
  const sent = destinations.length === 0 ? [] : [`sent on to ${destinations.join(", ")}`];
  if (handlers.length === 0) return sent[0] ?? "no handlers yet";
  return [handlers.join(", "), ...sent].join("; ");
}
