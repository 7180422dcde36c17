import { expect, test } from "bun:test";
import { DrizzleError, TransactionRollbackError } from "drizzle-orm";
import { z } from "zod";
import { isOfHandler } from "../../src/engines/late-error.ts";
// hookonce loads this only for TypeScript handlers. It registers drizzle's errors.
import "../../src/engines/sqlite/ts-handler.ts";

test.each([
  ["drizzle's error", new DrizzleError({ message: "no" })],
  ["drizzle's transaction rollback", new TransactionRollbackError()],
  ["zod's error", z.string().safeParse(1).error],
  ["an error caused by one of drizzle's", new Error("no", { cause: new DrizzleError({ message: "no" }) })],
])("an uncaught error comes from a handler if it is %s", (_, error) => {
  expect(isOfHandler(error)).toBe(true);
});

test("any other uncaught error may come from hookonce itself", () => {
  expect(isOfHandler(new Error("no"))).toBe(false);
});
