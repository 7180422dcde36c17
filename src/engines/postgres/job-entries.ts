import type { Change, RecordedJob } from "../records.ts";
import type { Tx } from "./tx.ts";

/** How many jobs are kept. Those that have not ended are kept in any case. */
const KEEP_JOBS = 1000;

/** How long a line of the audit list is kept at least, in milliseconds. */
const KEEP_AUDIT_MS = 400 * 24 * 3_600_000;

/** How many lines are kept at least, so that a wrong clock does not empty the list. */
const KEEP_AUDIT = 10_000;

/** How many lines are looked at for each new one. */
const LOOK = 100;

export function recordJob(
  tx: Tx,
  { id, action, actor, startedAt, endedAt, request, progress, changed }: RecordedJob,
): void {
  tx.query(
    `insert into hookonce.jobs (id, action, actor, started_at, ended_at, request, progress)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (id) do update set
       ended_at = excluded.ended_at, request = excluded.request, progress = excluded.progress`,
  ).run(id, action, actor, startedAt, endedAt, request, progress);
  tx.query("update hookonce.audit set count = $1 where job = $2").run(changed, id);
  if (endedAt === null) return;
  tx.query(
    `delete from hookonce.jobs where ended_at is not null and started_at <
     (select started_at from hookonce.jobs order by started_at desc limit 1 offset $1)`,
  ).run(KEEP_JOBS - 1);
}

/** The oldest lines of the audit list are removed as new ones are added. */
export function recordChange(
  tx: Tx,
  { at, actor, action, target, reason, job, count }: Omit<Change, "id">,
): void {
  tx.query(
    "insert into hookonce.audit (at, actor, action, target, reason, job, count) values ($1, $2, $3, $4, $5, $6, $7)",
  ).run(at, actor, action, target, reason, job ?? null, count ?? null);
  tx.query(
    `delete from hookonce.audit where at < $1 and id <= (select max(id) from hookonce.audit) - $2
     and id in (select id from hookonce.audit order by id limit $3)`,
  ).run(at - KEEP_AUDIT_MS, KEEP_AUDIT, LOOK);
}
