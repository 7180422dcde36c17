import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import type { Entry } from "../records.ts";
import { createAlertEntries } from "./alerts.ts";
import { recordChange, recordJob } from "./job-entries.ts";
import { createMessageEntries } from "./message-entries.ts";
import type { Outbox } from "./outbox.ts";
import { createRollupSums } from "./rollup-sums.ts";
import { MINUTE_MS } from "../rollup-counts.ts";
import type { SettledEvents } from "../settled-events.ts";
import { storeSources } from "./source-rules.ts";
import type { SourceStates } from "./source-states.ts";

/** Writes what is recorded beside the events. The caller has a transaction open. */
export function createEntries(
  db: Database,
  outbox: Outbox,
  states: SourceStates,
  settled: SettledEvents,
): (entry: Entry) => void {
  const addUpRollups = createRollupSums(db);
  const recordMessage = createMessageEntries(db, outbox, settled);
  const changeAlert = createAlertEntries(db, outbox);
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
      case "audit":
        recordChange(db, entry.change);
        return;
      case "job":
        recordJob(db, entry.job);
        return;
      // There is no other process.
      case "ask nodes":
      case "take job":
        return;
      case "no job":
        db.query("delete from hookonce_jobs where id = ?").run(entry.id);
        return;
      case "refused": {
        const { source, at, count } = entry;
        db.query(
          `insert into hookonce_rollups (span, at, source, refused) values ('new', ?, ?, ?)
           on conflict (span, at, source) do update set refused = refused + excluded.refused`,
        ).run(at - (at % MINUTE_MS), source, count);
        return;
      }
      case "secret":
        db.query(
          `insert into hookonce_secrets (source, secret, at) values (?, ?, ?)
           on conflict (source, secret) do update set at = excluded.at`,
        ).run(entry.source, entry.secret, entry.at);
        return;
      case "sources": {
        const { rules, dropped, at } = entry;
        storeSources(db, rules, { now: at, acceptIdChange: false, dropped });
        return;
      }
      case "source":
        states.change(entry);
        return;
      case "pause over":
        states.resumeAfter(entry.name, entry.until, entry.at);
        return;
      case "source gone":
        states.open(entry.name);
        return;
      case "alert":
        changeAlert(entry);
        return;
      case "rollups":
        addUpRollups(entry.at);
        return;
      case "attempt":
      case "command started":
      case "destination":
      case "enqueued":
        recordMessage(entry);
    }
  };
}
