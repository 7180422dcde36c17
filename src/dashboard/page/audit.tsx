import { useState } from "hono/jsx/dom";
import type { AuditJson, List } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Failed, Loading, Name, Time, useLoaded } from "./ui.tsx";
import { count, visible } from "./words.ts";

/** What people have changed, the latest first, and what hookonce has paused by itself. */
export function Audit() {
  /** Where this page and those before it begin. The first is the latest. */
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const cursor = cursors.at(-1) ?? null;
  const loaded = useLoaded<List<AuditJson>>(`audit ${cursor}`, () => api.audit(cursor));
  const { items, next = null } = loaded.value ?? {};
  return (
    <section id="audit" class="card" aria-labelledby="audit-title">
      <h2 id="audit-title">Audit</h2>
      {loaded.error === undefined ? null : <Failed error={loaded.error} again={loaded.again} />}
      {items === undefined ? (
        loaded.error === undefined ? (
          <Loading what="the audit list" />
        ) : null
      ) : items.length === 0 ? (
        <p class="quiet">Nothing has been changed yet.</p>
      ) : (
        <Changes items={items} />
      )}
      {cursors.length === 1 && next === null ? null : (
        <p class="buttons">
          <button
            type="button"
            disabled={cursors.length === 1}
            onClick={() => setCursors(cursors.slice(0, -1))}
          >
            Newer
          </button>
          <button type="button" disabled={next === null} onClick={() => setCursors([...cursors, next])}>
            Older
          </button>
        </p>
      )}
    </section>
  );
}

function Changes({ items }: { readonly items: readonly AuditJson[] }) {
  return (
    <table class="audit-table">
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">What</th>
          <th scope="col" class="number">
            How many
          </th>
          <th scope="col">Why</th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr>
            <td class="time">
              <Time at={one.at} />
            </td>
            <td class="actor">{visible(one.actor)}</td>
            <td class="what">
              <strong>{one.action}</strong> <Name text={one.target} />
            </td>
            <td class="number">{one.count === null ? "" : count(one.count)}</td>
            <td class="reason">{one.reason === null ? "" : visible(one.reason)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
