import { isWord, meaningful, type SqlStatement } from "./sql-text.ts";
import type { Value, Wire } from "./wire.ts";

/** How the rows are counted that a statement changes: by its command tag, by the server's statistics, or not. */
export type Counted = "tag" | "statistics" | "nothing";

const WRITES = ["insert", "update", "delete", "merge"];

/** A query may write in a WITH, and its tag then counts the rows that it returns. */
export function countedBy({ tokens }: Pick<SqlStatement, "tokens">): Counted {
  const words = meaningful(tokens);
  if (!words.some((token) => WRITES.some((word) => isWord(token, word)))) return "nothing";
  if (!isWord(words[0], "with")) return WRITES.some((word) => isWord(words[0], word)) ? "tag" : "nothing";
  let depth = 0;
  for (const token of words) {
    if (token.text === "(") depth++;
    if (token.text === ")") depth--;
    if (depth > 0) continue;
    if (WRITES.some((word) => isWord(token, word))) return "tag";
    if (isWord(token, "select")) return "statistics";
  }
  return "tag";
}

/** The rows that this transaction has changed so far. */
const CHANGED =
  "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int from pg_stat_xact_user_tables";

export async function changedSoFar(wire: Wire): Promise<number> {
  const { rows } = await wire.send(CHANGED);
  return Number(rows[0]?.[0]);
}

/** How many rows a statement has changed, and how many it has changed or returned. */
export interface RowCounts {
  readonly changed: number;
  readonly rows: number;
}

/** Sends a statement at once. */
export async function sendCounted(
  wire: Wire,
  text: string,
  values: readonly Value[],
  counted: Counted,
): Promise<RowCounts> {
  if (counted !== "statistics") {
    const { command, count } = await wire.send(text, values);
    return { changed: counted === "tag" && command !== "SELECT" ? count : 0, rows: count };
  }
  const [before, , after] = await Promise.all([
    changedSoFar(wire),
    wire.send(text, values),
    changedSoFar(wire),
  ]);
  return { changed: after - before, rows: after - before };
}
