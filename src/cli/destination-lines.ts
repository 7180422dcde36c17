import type { CappedCount, DestinationJson, StatusJson } from "../http/admin/shapes.ts";
import { sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, nameFor } from "./columns.ts";
import { ago } from "./moments.ts";

/** The destinations in `hookonce status`, with what each needs. Empty if there are none. */
export function destinationLines(
  { destinations, now }: Pick<StatusJson, "destinations" | "now">,
  width: number | undefined,
  inFolder: string,
): string[] {
  if (destinations.length === 0) return [];
  const rows = destinations.map((one) => [
    one.name,
    one.target ?? "not in hookonce.toml",
    one.state,
    sumOf([one.waiting]),
    one.oldest_at === null ? "" : ago(one.oldest_at, now),
    shown(one.dead),
    one.last_delivered_at === null ? "never" : ago(one.last_delivered_at, now),
  ]);
  const head = ["destination", "to", "state", "waiting", "oldest", "dead", "last sent"];
  const table = columns(head, rows, { width, flexible: [0, 1] });
  return [...table, ...destinations.flatMap((one) => needsOf(one, width, inFolder)), ""];
}

const shown = (count: CappedCount): string => (count.count === 0 ? "" : sumOf([count]));

/** How many messages are dead, why, and how they are sent again. */
export function deadLine(one: DestinationJson, width: number | undefined, inFolder: string): string {
  const { name, state, dead } = one;
  const [are, them] = dead.count === 1 ? ["is", "it"] : ["are", "them"];
  const error = state === "failing" ? "" : errorOf(one);
  return `${sumOf([dead])} to ${nameFor(name, width)} ${are} dead.${error} To send ${them} again: hookonce resend --destination ${visible(name)}${inFolder}`;
}

const errorOf = ({ last_failure: failure }: DestinationJson): string =>
  failure === null ? "" : ` The last error: ${visible(failure.error).replace(/(?<![.!?])$/, ".")}`;

/** What a destination needs, besides what is said about its dead messages. */
function needsOf(one: DestinationJson, width: number | undefined, inFolder: string): string[] {
  const { name, kind, state, reason, waiting } = one;
  const shownName = nameFor(name, width);
  const why = reason === null ? "" : ` (${visible(reason)})`;
  return [
    ...(state === "paused"
      ? [`${shownName} is paused${why}. To go on: hookonce resume ${visible(name)}${inFolder}`]
      : []),
    ...(state === "failing"
      ? [`${shownName} is failing, so it gets one message at a time.${errorOf(one)}`]
      : []),
    ...(kind === null && waiting.count > 0
      ? [
          `hookonce.toml no longer has the destination ${shownName}. Its messages wait until you add it again, or discard them: hookonce discard --destination ${visible(name)} --reason TEXT${inFolder}`,
        ]
      : []),
  ];
}
