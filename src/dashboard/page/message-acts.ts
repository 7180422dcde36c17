import type { DestinationJson, MessageJson } from "../../http/admin/shapes.ts";
import type { Act } from "./jobs.ts";
import type { MessageFilter } from "./query.ts";
import { count, counted, sumOf, visible } from "./words.ts";

export function messagesPath(filter: MessageFilter & { readonly id?: string }): string {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given as [string, string][]).toString();
  return text === "" ? "/destinations" : `/destinations?${text}`;
}

export function actForMessage(
  action: "resend" | "discard",
  { id, destination }: Pick<MessageJson, "id" | "destination">,
): Act {
  return {
    action,
    noun: "message",
    title: `${action === "resend" ? "Send again" : "Discard"}: a message to ${destination}`,
    target: { ids: [id], destination },
    resultPath: messagesPath({ id, destination }),
  };
}

/** Sends the dead messages of a destination again. */
export function resendDead({ name, dead }: Pick<DestinationJson, "name" | "dead">): Act {
  return {
    action: "resend",
    noun: "message",
    title: `Send ${dead.capped ? `${sumOf([dead])} messages` : counted(dead.count, "message")} to ${visible(name)} again`,
    target: { filter: { destination: name, state: "dead" } },
    resultPath: messagesPath({ destination: name }),
  };
}

/** What can be done with a message. */
export const mayResend = ({ state }: MessageJson): boolean => state !== "sending";
export const mayDiscard = ({ state }: MessageJson): boolean =>
  state === "waiting" || state === "interrupted" || state === "dead";

export const attemptsText = ({ attempts }: MessageJson): string =>
  attempts === 0 ? "not sent" : attempts === 1 ? "1 attempt" : `${count(attempts)} attempts`;
