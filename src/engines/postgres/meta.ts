import type { Tx } from "./tx.ts";

/** Facts about the database itself, in `hookonce.meta`. */

export async function readMeta(tx: Tx, key: string): Promise<string | undefined> {
  const row = await tx.query("select value from hookonce.meta where key = $1").row(key);
  return row?.[0] as string | undefined;
}

export function writeMeta(tx: Tx, key: string, value: string): void {
  tx.query(
    "insert into hookonce.meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value",
  ).run(key, value);
}
