import type { Tx } from "./tx.ts";
import type { AlertEntry } from "../alerts.ts";
import { messageIdOf } from "../message-ids.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Changes an alert. The row and its message are written in one transaction, so each alert begins once and ends
 * once, whenever the process is killed.
 */
export function createAlertEntries(
  tx: Tx,
  outbox: Pick<Outbox, "writeAlert">,
): (entry: AlertEntry) => Promise<void> {
  const run = async (statement: string, ...values: (string | number)[]): Promise<boolean> =>
    (await tx.query(statement).changes(...values)) > 0;
  return async (entry) => {
    const { key, change, at } = entry;
    switch (change) {
      case "seen":
        await run(
          "insert into hookonce.alerts (key, since, seen_at) values ($1, $2, $3) on conflict (key) do nothing",
          key,
          entry.since,
          at,
        );
        return;
      case "gone":
        await run("update hookonce.alerts set gone_at = $1 where key = $2 and gone_at is null", at, key);
        return;
      case "back":
        await run("update hookonce.alerts set gone_at = null where key = $1", key);
        return;
      case "dropped":
        await run("delete from hookonce.alerts where key = $1 and began_at is null", key);
        return;
      case "began":
      case "ended": {
        const isNew =
          change === "began"
            ? await run(
                "update hookonce.alerts set began_at = $1 where key = $2 and began_at is null",
                at,
                key,
              )
            : await run("delete from hookonce.alerts where key = $1 and began_at is not null", key);
        const { destination, body } = entry;
        if (isNew) outbox.writeAlert(destination, messageIdOf(["alert", key, change, at]), body, at);
      }
    }
  };
}
