import type { Database } from "bun:sqlite";
import type { Change, RecordedJob } from "../records.ts";

/** How many jobs are kept. Those that have not ended are kept in any case. */
const KEEP_JOBS = 1000;

/** How long a line of the audit list is kept at least, in milliseconds. */
const KEEP_AUDIT_MS = 400 * 24 * 3_600_000;

/** How many lines are kept at least, so that a wrong clock does not empty the list. */
const KEEP_AUDIT = 10_000;

/** How many lines are looked at for each new one. */
const LOOK = 100;

export function recordJob(
  db: Database,
  { id, action, actor, startedAt, endedAt, request, progress, changed }: RecordedJob,
): void {
  db.query(
    `insert into hookonce_jobs (id, action, actor, started_at, ended_at, request, progress)
     values (?, ?, ?, ?, ?, ?, ?)
     on conflict (id) do update set
       ended_at = excluded.ended_at, request = excluded.request, progress = excluded.progress`,
  ).run(id, action, actor, startedAt, endedAt, request, progress);
  db.query("update hookonce_audit set count = ? where job = ?").run(changed, id);
  if (endedAt === null) return;
  db.query(
    `delete from hookonce_jobs where ended_at is not null and started_at <
     (select started_at from hookonce_jobs order by started_at desc limit 1 offset ?)`,
  ).run(KEEP_JOBS - 1);
}

/** The oldest lines of the audit list are removed as new ones are added. */
export function recordChange(
  db: Database,
  { at, actor, action, target, reason, job, count }: Omit<Change, "id">,
): void {
  const { lastInsertRowid } = db
    .query(
      "insert into hookonce_audit (at, actor, action, target, reason, job, count) values (?, ?, ?, ?, ?, ?, ?)",
    )
    .run(at, actor, action, target, reason, job ?? null, count ?? null);
  db.query(
    `delete from hookonce_audit where at < ?1 and id <= ?2
     and id in (select id from hookonce_audit order by id limit ?3)`,
  ).run(at - KEEP_AUDIT_MS, Number(lastInsertRowid) - KEEP_AUDIT, LOOK);
}
