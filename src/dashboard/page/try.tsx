import { useState } from "hono/jsx/dom";
import type { EventDetail } from "../../http/admin/shapes.ts";
import type { TriedJson, TryJson } from "../../http/admin/try-shapes.ts";
import { api } from "./api.ts";
import { Failed } from "./ui.tsx";
import { counted, duration, visible } from "./words.ts";

/** What the handler of an event does now. It runs, and is rolled back. */
export function Try(props: {
  readonly event: Pick<EventDetail, "source" | "event_id">;
  readonly label?: string;
}) {
  const { event, label = "Try" } = props;
  const [state, setState] = useState<TryJson | "running" | { readonly error: unknown } | undefined>(
    undefined,
  );
  const run = (): void => {
    setState("running");
    api.tryEvent(event.source, event.event_id).then(setState, (error: unknown) => setState({ error }));
  };
  return (
    <section class="try" aria-label="Try">
      <p>
        <button type="button" onClick={run} disabled={state === "running"}>
          {state === "running" ? "Trying…" : label}
        </button>{" "}
        <span class="quiet">Runs the current file of the handler, and rolls back.</span>
      </p>
      <div aria-live="polite">
        {state === undefined || state === "running" ? null : "error" in state ? (
          <Failed error={state.error} />
        ) : (
          <>
            {state.items.map((one) => (
              <Report key={one.event_id} tried={one} />
            ))}
            {[...state.notes, ...(state.why === null ? [] : [`Not tried: ${state.why}`])].map((note) => (
              <p key={note} class="quiet">
                {visible(note)}
              </p>
            ))}
          </>
        )}
      </div>
    </section>
  );
}

function Report({ tried }: { readonly tried: TriedJson }) {
  const {
    handler,
    failure,
    why,
    tables,
    messages,
    null_paths: paths,
    statements,
    output,
    rows_changed: rows,
  } = tried;
  if (why !== null) return <p class="warn">○ Not run: {visible(why)}.</p>;
  return (
    <>
      <p>
        <code>{visible(handler)}</code>: {endOf(tried)}
      </p>
      {failure === null ? null : (
        <div class="why">
          <p class="wrong">
            ✗ {failure.at === null ? "" : `${failure.at}: `}
            {visible(failure.error).slice(0, 2000)}
          </p>
          {failure.line === null ? null : <pre tabIndex={0}>{visible(failure.line)}</pre>}
        </div>
      )}
      {tables.map((table) => (
        <Rows key={table.table} table={table} />
      ))}
      {tables.length === 0 && failure === null ? (
        <p>{rows > 0 ? "The rows that it wrote have the values that they had." : "It wrote no row."}</p>
      ) : null}
      {messages.length === 0 ? null : <Messages messages={messages} />}
      {paths.length === 0 ? null : (
        <div class="why">
          <p class="warn">○ {counted(paths.length, "JSON path")} without a value</p>
          <ul class="plain">
            {paths.map(({ read, line, found, path, meant, elements, rows: inRows }) => (
              <li key={`${line} ${read}`}>
                <code>{visible(read)}</code>
                {line === null ? "" : `, line ${line}`}: <code>{visible(path)}</code> {FOUND[found]}
                {elements === null ? "" : ` of ${elements.null} of ${counted(elements.of, "element")}`}
                {inRows === null ? "" : ` of ${inRows.null} of ${counted(inRows.of, "row")}`}.
                {meant === null ? null : (
                  <>
                    {" "}
                    Did you mean <code>{visible(meant)}</code>?
                  </>
                )}
              </li>
            ))}
          </ul>
        </div>
      )}
      {statements.length === 0 ? null : <Statements statements={statements} />}
      {output.length === 0 ? null : (
        <pre tabIndex={0}>{visible(output.map(({ level, text }) => `${level}  ${text}`).join("\n"))}</pre>
      )}
    </>
  );
}

const FOUND = {
  missing: "is not in the JSON",
  null: "is null in the JSON",
  not_json: "is NULL, because the payload is not JSON",
} as const;

function endOf({ failure, rows_changed: rows, duration_us: us, reply }: TriedJson): string {
  if (failure !== null) return "it failed. It would answer 500.";
  const answer =
    reply === null ? "200, the usual answer" : visible(`${reply.status} ${reply.body}`.slice(0, 500));
  return `changed ${counted(rows, "row")} in ${duration(us)}, and was rolled back. It would answer ${answer}.`;
}

const MARKS = { inserted: "+", updated: "~", deleted: "−" } as const;

function Rows({
  table: { table, rows, inserted, updated, deleted },
}: {
  readonly table: TriedJson["tables"][number];
}) {
  const [first] = rows;
  const names = Object.keys(first?.after ?? first?.before ?? {});
  const left = inserted + updated + deleted - rows.length;
  return (
    <div class="rows" tabIndex={0}>
      <table class="diff">
        <caption>
          {visible(table)}: {inserted} inserted, {updated} updated, {deleted} deleted
        </caption>
        {first === undefined ? null : (
          <thead>
            <tr>
              <th>
                <span class="unseen">Change</span>
              </th>
              {names.map((name) => (
                <th key={name}>{visible(name)}</th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {rows.map(({ change, before, after, changed }, at) => (
            <tr key={at}>
              <td>
                <span aria-hidden="true">{MARKS[change]}</span>
                <span class="unseen">{change}</span>
              </td>
              {names.map((name) => (
                <td key={name}>
                  {change === "updated" && changed.includes(name) ? (
                    <>
                      <del>{textOf(before?.[name])}</del> → <ins>{textOf(after?.[name])}</ins>
                    </>
                  ) : (
                    textOf((after ?? before)?.[name])
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 ? <p class="quiet">and {left} more</p> : null}
    </div>
  );
}

function textOf(value: string | number | null | undefined): string {
  return value === null || value === undefined ? "NULL" : visible(String(value)).slice(0, 300);
}

function Messages({ messages }: { readonly messages: TriedJson["messages"] }) {
  return (
    <div class="rows" tabIndex={0}>
      <table class="diff">
        <caption>It would send</caption>
        <thead>
          <tr>
            <th>To</th>
            <th>Body</th>
            <th>Message id</th>
          </tr>
        </thead>
        <tbody>
          {messages.map(({ destination, id, body }) => (
            <tr key={`${destination} ${id}`}>
              <td>{visible(destination)}</td>
              <td>{body === null ? "the event itself" : visible(body)}</td>
              <td>
                <code>{visible(id)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Statements({ statements }: { readonly statements: TriedJson["statements"] }) {
  return (
    <div class="rows" tabIndex={0}>
      <table class="diff statements">
        <caption>Statements</caption>
        <thead>
          <tr>
            <th>Line</th>
            <th>Rows</th>
            <th>Time</th>
            <th>Statement</th>
          </tr>
        </thead>
        <tbody>
          {statements.map(({ sql, line, runs, rows, us, error }) => (
            <tr key={`${line} ${sql}`}>
              <td>{line ?? ""}</td>
              <td>{error === null ? rows : "✗ failed"}</td>
              <td>{duration(us)}</td>
              <td>
                {runs === 1 ? "" : `×${runs} `}
                <code>{visible(sql).slice(0, 1000)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
