import { nearest } from "../config/nearest.ts";
import type { StatusJson } from "../http/admin/shapes.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";

/** Why nothing was found for a destination. */
export interface NothingFound {
  /** A sentence, if there is no such destination. */
  readonly unknown?: string;
  /** How many messages to it wait for their next attempt. */
  readonly waiting: number;
}

export async function lookForDestination({ api }: AdminClient, name: string): Promise<NothingFound> {
  const { destinations } = await answerOf<StatusJson>(await api.status.$get());
  const found = destinations.find((one) => one.name === name);
  if (found !== undefined) return { waiting: found.waiting.count };
  const names = destinations.map((one) => one.name);
  const unknown =
    names.length === 0
      ? "hookonce.toml has no destinations."
      : `hookonce.toml has no destination "${visible(name)}"; ${nearest(name, names)}`;
  return { unknown, waiting: 0 };
}

/** What `resend` says if no message to a destination is dead, but some wait. */
export function waitingHint(name: string, waiting: number, inFolder: string): string {
  const [what, them] = waiting === 1 ? ["waits for its", "it"] : ["wait for their", "them"];
  return `${counted(waiting, "message")} ${what} next attempt. To send ${them} now: hookonce resend --destination ${name} --state waiting${inFolder}`;
}
