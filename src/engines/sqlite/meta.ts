import type { Database } from "bun:sqlite";

/** Facts about the database itself, in `hookonce_meta`. */

export function readMeta(connection: Database, key: string): string | undefined {
  return connection.query("select value from hookonce_meta where key = ?").values(key)[0]?.[0] as
    | string
    | undefined;
}

export function writeMeta(connection: Database, key: string, value: string): void {
  connection
    .query(
      "insert into hookonce_meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
    )
    .run(key, value);
}

export function deleteMeta(connection: Database, key: string): void {
  connection.query("delete from hookonce_meta where key = ?").run(key);
}
