import { HookonceError } from "../../errors.ts";
import type { Tx } from "./tx.ts";

/** The node of the session, as each batch sets it. Null for a process that only tries something. */
export const THIS_NODE = "nullif(current_setting('hookonce.node', true), '')";

/** Whether a node that lives has claimed it. */
export const isClaimed = (kind: "message" | "job", key: string): string => `exists (
  select from hookonce.claims c join hookonce.nodes n on n.id = c.node where c.kind = '${kind}' and c.key = ${key}::text)`;

/**
 * While a node lives, no other one records the result of what it has claimed. So a node that was thought to be gone
 * does not overwrite the result of the node that took over. Every call belongs to the caller's open transaction.
 */
export interface Claims {
  /** Whether another node has it. */
  isOthers(kind: "message" | "job", key: string | number): Promise<boolean>;
  /** @throws HookonceError `job_running` if another node has it */
  take(kind: "job", key: string): Promise<void>;
  release(kind: "message" | "job", key: string | number): void;
}

export function createClaims(tx: Tx): Claims {
  const others = tx.query(
    `select 1 from hookonce.claims c join hookonce.nodes n on n.id = c.node
     where c.kind = $1 and c.key = $2 and c.node is distinct from ${THIS_NODE}`,
  );
  const take = tx.query(
    `insert into hookonce.claims (kind, key, node) select $1, $2, ${THIS_NODE} where ${THIS_NODE} is not null
     on conflict (kind, key) do update set node = excluded.node`,
  );
  const release = tx.query("delete from hookonce.claims where kind = $1 and key = $2");
  const isOthers = async (kind: string, key: string | number): Promise<boolean> =>
    (await others.row(kind, String(key))) !== undefined;
  return {
    isOthers,
    async take(kind, key) {
      if (await isOthers(kind, key))
        throw new HookonceError("job_running", "Another node runs this job already.");
      take.run(kind, key);
    },
    release: (kind, key) => release.run(kind, String(key)),
  };
}
