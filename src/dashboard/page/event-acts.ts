import type { EventDetail, EventJson, EventOutcome } from "../../http/admin/shapes.ts";
import type { Act } from "./jobs.ts";
import { messagesPath } from "./message-acts.ts";
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

/** Sends an event to a destination, as `hookonce resend --to` does. */
export function sendTo(
  destination: string,
  { source, event_id: id }: Pick<EventJson, "source" | "event_id">,
): Act {
  return {
    action: "resend",
    title: `Send ${visible(id)} to ${visible(destination)}`,
    target: { ids: [id], source },
    to: destination,
    resultPath: messagesPath({ source, event_id: id }),
  };
}

/** Whether an event can be sent to a destination: it is done, and its body is stored. */
export const maySend = ({ outcome, bytes }: Pick<EventDetail, "outcome" | "bytes">): boolean =>
  bytes !== null && (outcome === "processed" || outcome === "stale" || outcome === "discarded");
