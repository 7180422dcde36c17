import { HookonceError } from "../../errors.ts";
import type { Wire } from "./wire.ts";

/**
 * Does work in a transaction. Whatever `work` throws rolls it back.
 *
 * @throws HookonceError `storage_failed` if the server has rolled it back: COMMIT of a transaction that has failed
 *   succeeds, and only its answer says so
 */
export async function atomically<Result>(wire: Wire, work: () => Promise<Result>): Promise<Result> {
  await wire.send("begin isolation level read committed");
  let result: Result;
  try {
    result = await work();
  } catch (error) {
    await rollBack(wire);
    throw error;
  }
  const { command } = await wire.send("commit");
  if (command !== "COMMIT")
    throw new HookonceError("storage_failed", "The server has rolled the transaction back.");
  return result;
}

/** Ends the transaction. A connection that cannot do that is dropped. */
export async function rollBack(wire: Wire): Promise<void> {
  try {
    await wire.send("rollback");
  } catch {
    await wire.drop();
  }
}

/** Lets the transaction write hookonce's own tables. */
export const writeOwn = (wire: Wire): Promise<unknown> => wire.send("set local hookonce.own = 'on'");

/** Lets it write none of them, as while a handler or a migration of the user runs. */
export const guardOwn = (wire: Wire): Promise<unknown> => wire.send("set local hookonce.own = 'off'");
