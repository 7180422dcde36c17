import type { Database } from "bun:sqlite";
import type { AlertEntry, AlertReader, StoredAlert } from "../alerts.ts";
import { messageIdOf } from "../message-ids.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Changes an alert. The row and its message are written in one transaction, so each alert begins once and ends
 * once, whenever the process is killed.
 */
export function createAlertEntries(
  db: Database,
  outbox: Pick<Outbox, "writeAlert">,
): (entry: AlertEntry) => void {
  const run = (statement: string, ...values: (string | number)[]): boolean =>
    db.query(statement).run(...values).changes > 0;
  return (entry) => {
    const { key, change, at } = entry;
    switch (change) {
      case "seen":
        run(
          "insert into hookonce_alerts (key, since, seen_at) values (?, ?, ?) on conflict (key) do nothing",
          key,
          entry.since,
          at,
        );
        return;
      case "gone":
        run("update hookonce_alerts set gone_at = ? where key = ? and gone_at is null", at, key);
        return;
      case "back":
        run("update hookonce_alerts set gone_at = null where key = ?", key);
        return;
      case "dropped":
        run("delete from hookonce_alerts where key = ? and began_at is null", key);
        return;
      case "began":
      case "ended": {
        const isNew =
          change === "began"
            ? run("update hookonce_alerts set began_at = ? where key = ? and began_at is null", at, key)
            : run("delete from hookonce_alerts where key = ? and began_at is not null", key);
        const { destination, body } = entry;
        if (isNew) outbox.writeAlert(destination, messageIdOf(["alert", key, change, at]), body, at);
      }
    }
  };
}

export function alertReads(connection: Database): AlertReader {
  return {
    alerts: () =>
      connection
        .query<StoredAlert, []>(
          "select key, since, seen_at as seenAt, began_at as beganAt, gone_at as goneAt from hookonce_alerts order by key",
        )
        .all(),
  };
}
