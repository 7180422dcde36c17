import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import { HANDLER_TIMES_US } from "../handler-times.ts";
import type { Entry } from "../records.ts";
import { MINUTE_MS } from "./rollup-writes.ts";

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long minutes and hours are kept. */
const KEEP_MINUTES_MS = 3 * DAY_MS;
const KEEP_HOURS_MS = 400 * DAY_MS;

const SUMMED = [
  "processed",
  "duplicate",
  "unhandled",
  "ignored",
  "failed",
  "refused",
  ...HANDLER_TIMES_US.map((_, index) => `t${index}`),
];

/** Adds the rows of one span up to rows of the next. Written as a whole, so it may be repeated. */
const addUp = (from: string, to: string, ms: number): string => `
  insert into hookonce_rollups (span, at, source, last_at, ${SUMMED.join(", ")})
  select '${to}', at - at % ${ms}, source, max(last_at), ${SUMMED.map((column) => `sum(${column})`).join(", ")}
  from hookonce_rollups where span = '${from}' and at >= ?1 and at < ?2 group by 2, 3
  on conflict (span, at, source) do update set last_at = excluded.last_at,
  ${SUMMED.map((column) => `${column} = excluded.${column}`).join(", ")}`;

/** Writes what is recorded beside the events. The caller has a transaction open. */
export function createEntries(db: Database): (entry: Entry) => void {
  function addUpRollups(now: number): void {
    // From the last hour on that was added up. A clock that was ahead for a while has left later ones.
    const last = db
      .query("select max(at) from hookonce_rollups where span = 'hour' and at <= ?")
      .values(now)[0]?.[0] as number | null;
    const hour = (last ?? 0) - HOUR_MS;
    const day = hour - (hour % DAY_MS);
    const end = now + HOUR_MS;
    db.query(addUp("minute", "hour", HOUR_MS)).run(hour, end);
    db.query(addUp("hour", "day", DAY_MS)).run(day, end);
    const remove = db.query("delete from hookonce_rollups where span = ? and at < ?");
    remove.run("minute", now - KEEP_MINUTES_MS);
    remove.run("hour", now - KEEP_HOURS_MS);
  }

  return (entry) => {
    switch (entry.entry) {
      case "token": {
        const { name, hash, scopes, createdAt, expiresAt } = entry.token;
        const taken = db.query("select 1 from hookonce_tokens where name = ? and revoked_at is null");
        if (taken.values(name).length > 0)
          throw new HookonceError(
            "token_exists",
            `There is a token named "${name}" already. Choose another name, or revoke it first.`,
          );
        db.query(
          "insert into hookonce_tokens (name, hash, scopes, created_at, expires_at) values (?, ?, ?, ?, ?)",
        ).run(name, hash, JSON.stringify(scopes), createdAt, expiresAt);
        return;
      }
      case "revoke": {
        const { changes } = db
          .query("update hookonce_tokens set revoked_at = ? where name = ? and revoked_at is null")
          .run(entry.at, entry.name);
        if (changes === 0)
          throw new HookonceError("unknown_token", `There is no token named "${entry.name}".`);
        return;
      }
      case "audit": {
        const { at, actor, action, target, reason } = entry.change;
        db.query("insert into hookonce_audit (at, actor, action, target, reason) values (?, ?, ?, ?, ?)").run(
          at,
          actor,
          action,
          target,
          reason,
        );
        return;
      }
      case "job": {
        const { id, action, actor, startedAt, endedAt, request, progress } = entry.job;
        db.query(
          `insert into hookonce_jobs (id, action, actor, started_at, ended_at, request, progress)
           values (?, ?, ?, ?, ?, ?, ?)
           on conflict (id) do update set ended_at = excluded.ended_at, progress = excluded.progress`,
        ).run(id, action, actor, startedAt, endedAt, request, progress);
        return;
      }
      case "refused": {
        const { source, at, count } = entry;
        db.query(
          `insert into hookonce_rollups (span, at, source, refused) values ('minute', ?, ?, ?)
           on conflict (span, at, source) do update set refused = refused + excluded.refused`,
        ).run(at - (at % MINUTE_MS), source, count);
        return;
      }
      case "secret":
        db.query(
          `insert into hookonce_secrets (source, secret, at) values (?, ?, ?)
           on conflict (source, secret) do update set at = max(at, excluded.at)`,
        ).run(entry.source, entry.secret, entry.at);
        return;
      case "rollups":
        addUpRollups(entry.now);
    }
  };
}
