import type { ConditionJson, StatusJson } from "../http/admin/shapes.ts";
import { visible } from "../logging/visible.ts";
import { deadLine } from "./destination-lines.ts";
import { shortTime } from "./moments.ts";
import { stateLine } from "./source-lines.ts";

/** What needs attention, in `hookonce status`, each with the command that helps. Empty if nothing does. */
export function conditionLines(status: StatusJson, width: number | undefined, inFolder: string): string[] {
  const lines = status.conditions.map((one) => `! ${lineOf(one, status, width, inFolder)}`);
  return lines.length === 0 ? [] : ["", ...lines];
}

function lineOf(one: ConditionJson, status: StatusJson, width: number | undefined, inFolder: string): string {
  const { paused, destinations, sources, now } = status;
  const source = paused.find(({ name }) => name === one.source);
  if (one.alert === "source_paused" && source !== undefined)
    return stateLine(source, {
      now,
      width,
      inFolder,
      isGone: sources.every(({ name }) => name !== one.source),
    });
  const destination = destinations.find(({ name }) => name === one.destination);
  if (one.alert === "dead_messages" && destination !== undefined)
    return deadLine(destination, width, inFolder);
  if (one.alert !== "handler_failing")
    return visible(one.more === "" ? one.title : `${one.title} ${one.more}`);
  const error = visible(one.error ?? "").replaceAll(/\s*\n\s*/g, " ");
  return `${visible(one.title)} First at ${shortTime(one.since, now)}. The last error: ${error}\n  To see why: hookonce failures${inFolder}`;
}
