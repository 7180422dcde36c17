import type { Config } from "../config/load.ts";
import type { EngineOptions } from "../engines/engine.ts";
import { HookonceError } from "../errors.ts";
import { unknownDestination } from "../outbox/unknown-destination.ts";

/** Why nothing can be enqueued to a destination. */
export function enqueueProblemOf(
  destinations: Config["destinations"],
): NonNullable<EngineOptions["enqueueProblem"]> {
  const problems = new Map(destinations.map((one) => [one.name, problemOf(one)]));
  return (name) => (problems.has(name) ? problems.get(name) : unknownDestination(name, [...problems.keys()]));
}

function problemOf(destination: Config["destinations"][number]): HookonceError | undefined {
  if (destination.kind !== "url" || destination.sign !== "provider") return undefined;
  return new HookonceError(
    "enqueue_refused",
    `A handler cannot write a message to the destination "${destination.name}": its messages are signed as their provider signs, and a handler's message has no provider. Write sign = "standard-webhooks" or sign = "none" in hookonce.toml, or name another destination.`,
  );
}
