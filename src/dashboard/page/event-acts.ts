import type { EventJson, EventOutcome } from "../../http/admin/shapes.ts";
import type { Act } from "./jobs.ts";
import { counted, visible } from "./words.ts";

export type ActionName = Act["action"];

export const VERB = { apply: "Apply", replay: "Replay", discard: "Discard", resend: "Send again" } as const;

/** What can be done to an event: what is owed is applied, what is done is replayed. */
export function actOn(outcome: EventOutcome): "apply" | "replay" | undefined {
  switch (outcome) {
    case "unhandled":
    case "failed":
    case "discarded":
      return "apply";
    case "processed":
      return "replay";
    case "held":
    case "imported":
    case "ignored":
    case "stale":
      return undefined;
  }
}

export function actFor(
  action: ActionName,
  { source, event_id: id, outcome }: Pick<EventJson, "source" | "event_id" | "outcome">,
): Act {
  return {
    action,
    title: `${VERB[action]} ${visible(id)}`,
    target: { ids: [id], source },
    needsReason: outcome === "discarded",
    resultPath: `/events?${new URLSearchParams({ open: `${source}/${id}` }).toString()}`,
  };
}

/** For events of one source: an id may belong to two. */
export function actForAll(action: ActionName, source: string, events: readonly EventJson[]): Act {
  return {
    action,
    title: `${VERB[action]} ${counted(events.length, "event")} of ${source}`,
    target: { ids: events.map((one) => one.event_id), source },
    needsReason: events.some(({ outcome }) => outcome === "discarded"),
    resultPath: `/events?${new URLSearchParams({ source }).toString()}`,
  };
}
