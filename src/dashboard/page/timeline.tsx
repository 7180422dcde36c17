import type { EventDetail, TimelineEntry } from "../../http/admin/shapes.ts";
import { Name, Outcome, Time } from "./ui.tsx";
import { count, visible } from "./words.ts";

/** The deliveries of an event, and when it was applied without one. */
export function Timeline({ event }: { readonly event: EventDetail }) {
  const { timeline, settled, handler } = event;
  const after = timeline.filter(({ at }) => at <= (settled?.at ?? 0)).length;
  const entries = timeline.map((one, index) => (
    <li key={one.number}>
      <Gap before={timeline[index - 1]} at={one} />
      <Time at={one.at} /> <span>Delivery {count(one.number)}</span> <Outcome of={one.outcome} />
      {one.outcome === "processed" && handler !== null ? <By handler={handler} /> : null}
      {one.changed_body ? <span class="warn"> ○ another body</span> : null}
    </li>
  ));
  const applied =
    settled === null ? null : (
      <li>
        <Time at={settled.at} /> <span>{settled.outcome === "processed" ? "Applied" : "Closed"}</span>{" "}
        <Outcome of={settled.outcome} />
        {settled.outcome === "processed" && handler !== null ? <By handler={handler} /> : null}
        {settled.actor === null ? null : <span class="quiet">, ordered by {visible(settled.actor)}</span>}
      </li>
    );
  return (
    <section aria-labelledby="timeline-title">
      <h3 id="timeline-title">Deliveries</h3>
      <ol class="timeline">
        {entries.slice(0, after)}
        {applied}
        {entries.slice(after)}
      </ol>
    </section>
  );
}

function By({ handler }: { readonly handler: string }) {
  return (
    <span class="quiet">
      {" "}
      <Name text={handler} />
    </span>
  );
}

/** Only the first and the latest deliveries of an event are kept. */
function Gap({ before, at }: { readonly before: TimelineEntry | undefined; readonly at: TimelineEntry }) {
  const missing = at.number - (before?.number ?? at.number - 1) - 1;
  return missing > 0 ? <p class="quiet">… {count(missing)} more …</p> : null;
}
