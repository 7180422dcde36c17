import type { Tx } from "./tx.ts";
import { HookonceError } from "../../errors.ts";
import type { Entry } from "../records.ts";
import { createAlertEntries } from "./alerts.ts";
import { createClaims, THIS_NODE } from "./claims.ts";
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
  tx: Tx,
  outbox: Outbox,
  states: SourceStates,
  settled: SettledEvents,
): (entry: Entry) => Promise<void> {
  const claims = createClaims(tx);
  const addUpRollups = createRollupSums(tx);
  const recordMessage = createMessageEntries(tx, outbox, settled, claims);
  const changeAlert = createAlertEntries(tx, outbox);
  return async (entry) => {
    switch (entry.entry) {
      case "token": {
        const { name, hash, scopes, createdAt, expiresAt } = entry.token;
        const taken = tx.query("select 1 from hookonce.tokens where name = $1 and revoked_at is null");
        if ((await taken.row(name)) !== undefined)
          throw new HookonceError(
            "token_exists",
            `There is a token named "${name}" already. Choose another name, or revoke it first.`,
          );
        tx.query(
          "insert into hookonce.tokens (name, hash, scopes, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        ).run(name, hash, JSON.stringify(scopes), createdAt, expiresAt);
        return;
      }
      case "revoke": {
        const changes = await tx
          .query("update hookonce.tokens set revoked_at = $1 where name = $2 and revoked_at is null")
          .changes(entry.at, entry.name);
        if (changes === 0)
          throw new HookonceError("unknown_token", `There is no token named "${entry.name}".`);
        return;
      }
      case "audit":
        recordChange(tx, entry.change);
        return;
      case "job":
        recordJob(tx, entry.job);
        if (entry.job.endedAt === null) await claims.take("job", entry.job.id);
        else claims.release("job", entry.job.id);
        return;
      case "take job":
        await claims.take("job", entry.id);
        return;
      case "ask nodes":
        tx.query(
          `update hookonce.nodes set asked = $1, answered = null where id is distinct from ${THIS_NODE}`,
        ).run(entry.request);
        return;
      case "no job":
        claims.release("job", entry.id);
        tx.query("delete from hookonce.jobs where id = $1").run(entry.id);
        return;
      case "refused": {
        const { source, at, count } = entry;
        tx.query(
          `insert into hookonce.rollups (span, at, source, refused) values ('new', $1, $2, $3)
           on conflict (span, at, source) do update set refused = rollups.refused + excluded.refused`,
        ).run(at - (at % MINUTE_MS), source, count);
        return;
      }
      case "secret":
        tx.query(
          `insert into hookonce.secrets (source, secret, at) values ($1, $2, $3)
           on conflict (source, secret) do update set at = excluded.at`,
        ).run(entry.source, entry.secret, entry.at);
        return;
      case "sources": {
        const { rules, dropped, at } = entry;
        await storeSources(tx.wire, rules, { now: at, acceptIdChange: false, dropped });
        return;
      }
      case "source":
        await states.change(entry);
        return;
      case "pause over":
        await states.resumeAfter(entry.name, entry.until, entry.at);
        return;
      case "source gone":
        states.open(entry.name);
        return;
      case "alert":
        await changeAlert(entry);
        return;
      case "rollups":
        await addUpRollups(entry.at);
        return;
      case "attempt":
      case "command started":
      case "destination":
      case "enqueued":
        await recordMessage(entry);
    }
  };
}
