import { memo } from "hono/jsx/dom";
import type { EventJson } from "../../http/admin/shapes.ts";
import { keyOf } from "./live.ts";
import { Name, Outcome, Time } from "./ui.tsx";
import { count, duration, visible } from "./words.ts";

interface RowProps {
  readonly event: EventJson;
  readonly isSelected: boolean;
  readonly isOpen: boolean;
  readonly mayAct: boolean;
  readonly onShow: () => void;
  readonly onToggle: () => void;
}

export const EventRow = memo(
  ({ event, isSelected, isOpen, mayAct, onShow, onToggle }: RowProps) => {
    const { source, event_id: id, type, outcome, deliveries, rows_changed: rows, duration_us: us } = event;
    return (
      <tr
        role="row"
        class={isOpen ? "open" : isSelected ? "selected" : undefined}
        onClick={(event: MouseEvent) => {
          if ((event.target as HTMLElement).closest("input, button") === null) onShow();
        }}
      >
        {mayAct ? (
          <td role="cell" class="pick">
            <input
              type="checkbox"
              aria-label={`Select ${visible(id)}`}
              checked={isSelected}
              onChange={onToggle}
            />
          </td>
        ) : null}
        <td role="cell" class="time">
          <Time at={event.received_at} />
        </td>
        <td role="cell" class="source">
          {source}
        </td>
        <td role="cell" class="type">
          {type === "" ? <span class="quiet">no type</span> : <Name text={type} />}
        </td>
        <td role="cell" class="id">
          <button type="button" class="link" title={visible(id)} data-key={keyOf(event)} onClick={onShow}>
            <Name text={id} />
          </button>
        </td>
        <td role="cell" class="what">
          <Outcome of={outcome} />
        </td>
        <td role="cell" class={rows === 0 && outcome === "processed" ? "number warn" : "number"}>
          {rows === null ? "–" : count(rows)}
          <span class="unit"> rows</span>
        </td>
        <td role="cell" class="number">
          ×{count(deliveries)}
        </td>
        <td role="cell" class="number">
          {us === null ? "–" : duration(us)}
        </td>
      </tr>
    );
  },
  (old, next) =>
    old.event === next.event &&
    old.isSelected === next.isSelected &&
    old.isOpen === next.isOpen &&
    old.mayAct === next.mayAct,
);
