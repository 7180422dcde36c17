import { useState } from "hono/jsx/dom";
import type {
  EventDetail,
  FailureGroup,
  FailureGroupList,
  FailureJson,
  List,
  StatusJson,
} from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import type { Act } from "./jobs.ts";
import { Link } from "./location.tsx";
import { Stack } from "./stack.tsx";
import { applyOwed } from "./problems.ts";
import { eventsPath, exactly } from "./query.ts";
import { Try } from "./try.tsx";
import { Empty, Failed, Loading, messageOf, Name, Time, useLoaded } from "./ui.tsx";
import { count, counted, patternOf, sumOf, visible } from "./words.ts";

interface FailuresProps {
  readonly status: StatusJson;
  readonly act: (act: Act) => void;
  readonly settled: number;
}

const PAGE = 50;

/** The most that the API gives at once. */
const MAX_GROUPS = 500;

export function Failures({ status, act, settled }: FailuresProps) {
  const [limit, setLimit] = useState(PAGE);
  const groups = useLoaded<FailureGroupList>(
    `groups ${settled} ${limit}`,
    () => api.failureGroups(limit),
    10_000,
  );
  const mayAct = status.actor.scopes.includes("steer");
  const items = groups.value?.items ?? [];
  const unhandled = status.owed.filter(({ outcome }) => outcome === "unhandled");
  return (
    <div class="failures">
      <h1>Failures</h1>
      {groups.error === undefined ? null : <Failed error={groups.error} again={groups.again} />}
      {groups.value === undefined && groups.error === undefined ? <Loading what="failures" /> : null}
      {groups.value !== undefined && items.length === 0 && unhandled.length === 0 ? (
        <Empty title="✓ Nothing owed">
          <p>Every event that was received has been applied.</p>
        </Empty>
      ) : null}
      {groups.value !== undefined && items.length === 0 && unhandled.length > 0 ? (
        <p>✓ No handler fails.</p>
      ) : null}
      <ul class="groups">
        {items.map((group) => (
          <Group
            key={`${group.source}\n${group.handler}\n${group.code}\n${patternOf(group.error)}`}
            group={group}
            mayAct={mayAct}
            act={act}
          />
        ))}
      </ul>
      {groups.value === undefined || items.length >= groups.value.total ? null : (
        <p>
          {count(items.length)} of {count(groups.value.total)}
          {groups.value.capped ? "+" : ""} groups are shown, the largest first.{" "}
          {limit < MAX_GROUPS ? (
            <button type="button" onClick={() => setLimit(Math.min(MAX_GROUPS, limit * 2))}>
              Show more
            </button>
          ) : null}
        </p>
      )}
      {unhandled.length === 0 ? null : (
        <section aria-labelledby="unhandled-title">
          <h2 id="unhandled-title">Stored without a handler</h2>
          <table class="plain-table">
            <thead>
              <tr>
                <th>Source</th>
                <th>Type</th>
                <th class="number">Owed</th>
                <th>
                  <span class="unseen">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {unhandled.map((one) => (
                <tr key={`${one.source}\n${one.type}`}>
                  <td>{one.source}</td>
                  <td>
                    <Link to={pathOf(one.source, [one.type], "unhandled")}>
                      {one.type === "" ? "no type" : <Name text={one.type} />}
                    </Link>
                  </td>
                  <td class="number">
                    <span class="outcome owed">○ {sumOf([one])}</span>
                  </td>
                  <td class="number">
                    {mayAct ? (
                      <button type="button" onClick={() => act(applyOwed(one))}>
                        Apply
                      </button>
                    ) : null}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

/** With a type only if there is one type. */
function pathOf(source: string, types: readonly string[], outcome?: string): string {
  const [type, other] = types;
  return eventsPath({
    source,
    ...(type === undefined || other !== undefined ? {} : { type: exactly(type) }),
    ...(outcome === undefined ? {} : { outcome }),
  });
}

function Group(props: {
  readonly group: FailureGroup;
  readonly mayAct: boolean;
  readonly act: (act: Act) => void;
}) {
  const { group, mayAct, act } = props;
  const { source, handler, code, error, types, latest_event_id: latest } = group;
  const [isOpen, setOpen] = useState(false);
  const [problem, setProblem] = useState("");
  const begin = (action: "apply" | "discard"): void => {
    setProblem("");
    idsOf(group).then(
      (ids) =>
        act({
          action,
          title: `${action === "apply" ? "Apply" : "Discard"} ${counted(ids.length, "failed event")} of ${handler ?? source}`,
          target: { ids, source },
          resultPath: pathOf(source, types),
        }),
      (cause: unknown) => setProblem(messageOf(cause)),
    );
  };
  return (
    <li class="card group">
      <div class="group-head">
        <div>
          <h2>
            <span class="mark outcome bad" aria-hidden="true">
              ✗
            </span>{" "}
            {handler ?? `${source}: no handler ran`}
          </h2>
          <p class="message">
            <code>{code}</code> {visible(error).slice(0, 400)}
          </p>
          <p class="quiet">
            <Link to={pathOf(source, types, "failed")}>{counted(group.count, "event")}</Link> of {source},{" "}
            {types
              .slice(0, 3)
              .map((type) => visible(type) || "no type")
              .join(", ")}
            {types.length > 3 ? ` and ${counted(types.length - 3, "more type")}` : ""} · first{" "}
            <Time at={group.first_at} /> · last <Time at={group.last_at} />
          </p>
        </div>
        {mayAct ? (
          <div class="buttons">
            <button type="button" class="primary" onClick={() => begin("apply")}>
              Apply all
            </button>
            <button type="button" onClick={() => begin("discard")}>
              Discard…
            </button>
          </div>
        ) : null}
      </div>
      {problem === "" ? null : <Failed error={problem} />}
      <button
        type="button"
        class="plain"
        aria-expanded={isOpen ? "true" : "false"}
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? "▾ Hide the latest" : "▸ Show the latest"}
      </button>
      {isOpen ? <Latest source={source} id={latest} /> : null}
      {isOpen && mayAct ? <Try event={{ source, event_id: latest }} label="Try the latest" /> : null}
    </li>
  );
}

/** The ids of a group: a job takes at most 10,000. */
async function idsOf({ source, handler, code, error }: FailureGroup): Promise<readonly string[]> {
  const ids: string[] = [];
  const pattern = patternOf(error);
  let cursor: string | null = null;
  do {
    const page: List<FailureJson> = await api.failures(source, cursor);
    for (const one of page.items)
      if (one.handler === handler && one.code === code && patternOf(one.error) === pattern)
        ids.push(one.event_id);
    cursor = page.next;
  } while (cursor !== null && ids.length < 10_000);
  return ids.slice(0, 10_000);
}

function Latest({ source, id }: { readonly source: string; readonly id: string }) {
  const loaded = useLoaded<EventDetail>(`latest ${source}/${id}`, () => api.event(source, id));
  if (loaded.error !== undefined) return <Failed error={loaded.error} again={loaded.again} />;
  if (loaded.value === undefined) return <Loading what="the latest failure" />;
  const { failure } = loaded.value;
  return (
    <div class="why">
      <p>
        <Link to={`/events?${new URLSearchParams({ open: `${source}/${id}` }).toString()}`}>
          {visible(id)}
        </Link>
        {failure === null ? " is no longer owed." : `, ${counted(failure.attempts, "attempt")}`}
      </p>
      {failure === null ? null : <Stack text={failure.stack ?? failure.error} />}
    </div>
  );
}
