import { expect, test } from "bun:test";
import { DrizzleError, TransactionRollbackError } from "drizzle-orm";
import { z } from "zod";
import { isOfHandler } from "../../src/handlers/late-error.ts";
// Loaded where there is a TypeScript handler.
import "../../src/handlers/ts-handler.ts";

test.each([
  ["drizzle's", new DrizzleError({ message: "no" })],
  ["drizzle's, of a transaction", new TransactionRollbackError()],
  ["zod's", z.string().safeParse(1).error],
  ["one with drizzle's as its cause", new Error("no", { cause: new DrizzleError({ message: "no" }) })],
])("an error that nobody caught is a handler's: %s", (_, error) => {
  expect(isOfHandler(error)).toBe(true);
});

test("and any other need not be", () => {
  expect(isOfHandler(new Error("no"))).toBe(false);
});
