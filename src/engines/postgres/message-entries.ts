import type { Tx } from "./tx.ts";
import { HookonceError } from "../../errors.ts";
import type { Claims } from "./claims.ts";
import type { ChangedMessage, Job } from "../engine.ts";
import { MESSAGE_FORGOTTEN } from "../forget.ts";
import type { MessageState } from "../outbox.ts";
import type { MessageEntry } from "../records.ts";
import type { Outbox } from "./outbox.ts";
import type { SettledEvents } from "../settled-events.ts";

/** How many attempts of a message are kept. */
const KEPT_ATTEMPTS = 10;

/** Writes what is recorded of messages. The caller has a transaction open. */
export function createMessageEntries(
  tx: Tx,
  outbox: Outbox,
  settled: SettledEvents,
  claims: Pick<Claims, "isOthers" | "release">,
): (entry: MessageEntry) => Promise<void> {
  // A command counts as an attempt when it starts, so that its number is right after a crash.
  const count = tx.query(
    `update hookonce.messages
     set attempts = attempts + case when state = 'sending' then 0 else 1 end
     where id = $1 and state not in ('delivered', 'dead') returning attempts, reason`,
  );
  const settle = tx.query(
    `update hookonce.messages
     set state = case when state = 'discarded' then state else $2 end, next_at = coalesce($3, next_at), tries = tries + $4,
       settled_at = case when state = 'discarded' then settled_at else $5 end, last_status = $6, last_error = $7, run = null
     where id = $1 returning event, source`,
  );
  const keep = tx.query(
    `insert into hookonce.attempts (message, number, at, ms, status, error, answer)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (message, number) do update set
       at = excluded.at, ms = excluded.ms, status = excluded.status, error = excluded.error, answer = excluded.answer`,
  );
  const drop = tx.query("delete from hookonce.attempts where message = $1 and number <= $2");
  const start = tx.query(
    `update hookonce.messages
     set attempts = attempts + case when state = 'sending' then 0 else 1 end, state = 'sending', run = $2
     where id = $1 and state in ('waiting', 'interrupted', 'sending')`,
  );
  return async (entry) => {
    switch (entry.entry) {
      case "attempt": {
        const { message, at, ms, status, error, answer, next } = entry;
        if (await claims.isOthers("message", message)) return;
        const [number, reason] = (await count.row(message)) ?? [];
        // Retention, or somebody, has removed the message meanwhile, or another node has sent it.
        if (typeof number !== "number") return;
        // Of a message that was forgotten meanwhile, what it brought about is forgotten, too.
        const isForgotten = reason === MESSAGE_FORGOTTEN;
        const [why, said] = isForgotten ? [null, ""] : [error, answer];
        const state = isForgotten && next.state !== "delivered" ? "discarded" : next.state;
        const nextAt = "nextAt" in next && !isForgotten ? next.nextAt : null;
        const settledAt = nextAt === null ? at + ms : null;
        const tried = next.state === "interrupted" ? 0 : 1;
        noteEvent(await settle.values(message, state, nextAt, tried, settledAt, status, why), settled);
        keep.run(message, number, at, ms, status, why, said);
        claims.release("message", message);
        if (number > KEPT_ATTEMPTS) drop.run(message, number - KEPT_ATTEMPTS);
        return;
      }
      case "command started": {
        const run = entry.run === null ? null : JSON.stringify(entry.run);
        // It was read, and discarded before its command began, or this node was thought to be gone. Then the command
        // must not run.
        if (await claims.isOthers("message", entry.message))
          throw new HookonceError("not_owed", "Another node runs the command of the message.");
        if ((await start.changes(entry.message, run)) === 0)
          throw new HookonceError("not_owed", "The message was discarded, so its command does not run.");
        return;
      }
      case "destination":
        tx.query(
          `insert into hookonce.destinations (name, state, reason, since) values ($1, $2, $3, $4)
           on conflict (name) do update set state = excluded.state, reason = excluded.reason, since = excluded.since`,
        ).run(entry.name, entry.state, entry.reason, entry.at);
        return;
      case "enqueued":
        await outbox.adopt(entry.at);
    }
  };
}

/** Of a message that sends its event. What a handler has enqueued has its own body. */
export const IS_REDACTED = `(messages.body is null and exists (
  select 1 from hookonce.bodies
  where id = (select body from hookonce.results where event = messages.event) and redacted is not null))`;

/** A message of an event may be the last one that needed its body. Another process may have enqueued it for none. */
export function noteEvent(rows: readonly unknown[][], { note }: Pick<SettledEvents, "note">): void {
  for (const [event, source] of rows) if (typeof event === "number") note(String(source), event);
}

type MessageJob = Extract<Job, { kind: "message" }>;

/** Sends a message again, or gives up on it. */
export function createMessageChanges(
  tx: Tx,
  outbox: Outbox,
  settled: SettledEvents,
): (job: MessageJob) => Promise<ChangedMessage> {
  // What would be sent is not there any more once values of the event were replaced.
  const resend = tx.query(
    `update hookonce.messages
     set state = 'waiting', next_at = $2, since = $2, tries = 0, settled_at = null, reason = null
     where id = $1 and state <> 'sending' and since < $3 and not ${IS_REDACTED}
       and reason is distinct from '${MESSAGE_FORGOTTEN}' returning event, source`,
  );
  const discard = tx.query(
    `update hookonce.messages set state = 'discarded', settled_at = $2, reason = $3
     where id = $1 and state in ('waiting', 'interrupted', 'dead') returning event, source`,
  );
  const look = tx.query("select state, destination from hookonce.messages where id = $1");
  const redacted = tx.query(`select ${IS_REDACTED} from hookonce.messages where id = $1`);
  return async ({ action, message, at, reason, unlessSince }) => {
    const changed =
      action === "resend"
        ? await resend.values(message, at, unlessSince ?? Number.MAX_SAFE_INTEGER)
        : await discard.values(message, at, reason ?? null);
    noteEvent(changed, settled);
    const [state = null, destination] = ((await look.row(message)) ?? []) as [MessageState?, string?];
    if (action === "resend" && changed.length > 0 && destination !== undefined)
      outbox.sendsAgain(destination);
    const isRedacted =
      changed.length === 0 && action === "resend" && (await redacted.row(message))?.[0] === true;
    return { changed: changed.length > 0, isRedacted, state };
  };
}
