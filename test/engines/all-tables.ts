import { Database } from "bun:sqlite";
import { MOVED_META, MOVED_TABLES } from "../../src/engines/move.ts";
import type { Wire } from "../../src/engines/postgres/wire.ts";

/** What is in the tables, so that it can be compared between engines: booleans are 0 and 1, bytes are in hex. */

/** Every value of every table of hookonce, in the order of its key. */
export function tablesOf(path: string): Record<string, unknown[]> {
  using db = new Database(path, { readonly: true, strict: true });
  return Object.fromEntries(
    MOVED_TABLES.map(({ name, key, columns }) => {
      const selected = Object.keys(columns).map((column) => {
        if (name === "enqueued" && column === "is_bytes") return "typeof(body) = 'blob'";
        if (columns[column] === "bytes") return `lower(hex("${column}"))`;
        return columns[column] === "text" ? `replace("${column}", char(0), char(0xfffd))` : `"${column}"`;
      });
      const where = name === "meta" ? `where key in (${MOVED_META.map((one) => `'${one}'`).join()})` : "";
      const keys = key.map((one) => `"${one}"`).join();
      return [
        name,
        db.query(`select ${selected.join()} from hookonce_${name} ${where} order by ${keys}`).values(),
      ];
    }),
  );
}

/** The same on PostgreSQL. */
export async function tablesIn(wire: Wire): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const { name, key, columns } of MOVED_TABLES) {
    const selected = Object.entries(columns).map(([column, kind]) => {
      if (kind === "bytes") return `coalesce(encode("${column}", 'hex'), '')`;
      return kind === "boolean" ? `"${column}"::int` : `"${column}"`;
    });
    const where = name === "meta" ? `where key = any('{${MOVED_META.join()}}')` : "";
    const { rows } = await wire.send(
      `select ${selected.join()} from hookonce.${name} ${where} order by ${key.map((one) => `"${one}"`).join()}`,
    );
    found[name] = rows.map((row) => row.map((value) => (typeof value === "bigint" ? Number(value) : value)));
  }
  return found;
}
