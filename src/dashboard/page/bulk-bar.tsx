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
  const canApplyAll = all !== undefined && (all.outcome === "failed" || all.outcome === "unhandled");
  return (
    <div class="bulk" role="region" aria-label="Selected events">
      <strong>{count(events.length)} selected</strong>
      {buttons.map(({ action, source, fitting }) => (
        <button type="button" class="primary" onClick={() => act(actForAll(action, source, fitting))}>
          {VERB[action]} {count(fitting.length)}
          {sources.length > 1 ? ` of ${source}` : ""}
        </button>
      ))}
      {canApplyAll ? (
        <button
          type="button"
          onClick={() =>
            act({
              action: "apply",
              title: `Apply all that match ${line}`,
              target: { filter: all },
              resultPath: eventsPath(parseLine(line)),
            })
          }
        >
          Apply all that match…
        </button>
      ) : null}
      {buttons.length === 0 ? (
        <span class="quiet">{counted(events.length, "event needs", "events need")} nothing.</span>
      ) : null}
      <button type="button" class="plain" onClick={props.onClear}>
        Clear
      </button>
    </div>
  );
}
