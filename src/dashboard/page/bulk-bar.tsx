import type { EventJson } from "../../http/admin/shapes.ts";
import { actForAll, actOn, VERB } from "./event-acts.ts";
import type { Act } from "./jobs.ts";
import { eventsPath, parseLine, type ApiFilter } from "./query.ts";
import { count, counted } from "./words.ts";

/** What can be done to the selected events, or to all that match the filter. */
export function BulkBar(props: {
  readonly events: readonly EventJson[];
  /** The filter, unless all that match are selected. */
  readonly all: ApiFilter | undefined;
  readonly line: string;
  readonly act: (act: Act) => void;
  readonly onClear: () => void;
}) {
  const { events, all, line, act } = props;
  const sources = [...new Set(events.map(({ source }) => source))];
  const buttons = sources.flatMap((source) => {
    const own = events.filter((one) => one.source === source);
    return (["apply", "replay"] as const).flatMap((action) => {
      const fitting = own.filter((one) => actOn(one.outcome) === action);
      return fitting.length === 0 ? [] : [{ action, source, fitting }];
    });
  });
  const forAll = all === undefined ? [] : actsOn(all);
  return (
    <div class="bulk" role="region" aria-label="Selected events">
      <strong>{count(events.length)} selected</strong>
      {buttons.map(({ action, source, fitting }) => (
        <button type="button" class="primary" onClick={() => act(actForAll(action, source, fitting))}>
          {VERB[action]} {count(fitting.length)}
          {sources.length > 1 ? ` of ${source}` : ""}
        </button>
      ))}
      {forAll.map((action) => (
        <button
          type="button"
          onClick={() =>
            act({
              action,
              title: `${VERB[action]} all that match ${line}`,
              target: { filter: all ?? {} },
              resultPath: eventsPath(parseLine(line)),
            })
          }
        >
          {VERB[action]} all that match…
        </button>
      ))}
      {buttons.length === 0 ? (
        <span class="quiet">{counted(events.length, "event needs", "events need")} nothing.</span>
      ) : null}
      <button type="button" class="plain" onClick={props.onClear}>
        Clear
      </button>
    </div>
  );
}

/** What can be done to all that match a filter. Without a filter, a replay would run everything again. */
function actsOn(filter: ApiFilter): readonly ("apply" | "replay")[] {
  switch (filter.outcome) {
    case "failed":
    case "unhandled":
      return ["apply"];
    case "processed":
      return ["replay"];
    case undefined:
      return Object.keys(filter).length === 0 ? [] : ["apply", "replay"];
    default:
      return [];
  }
}
