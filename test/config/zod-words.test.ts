import { expect, test } from "bun:test";
import * as z from "zod";
import { zodInWords } from "../../src/config/zod-words.ts";
import { testInbox } from "../support/test-inbox.ts";

const schema = z.strictObject({
  email: z.email(),
  cents: z.int(),
  plan: z.enum(["free", "pro"]),
  list: z.array(z.object({ id: z.string() })),
  either: z.union([z.string(), z.number()]),
});

const good = { email: "ada@example.com", cents: 5, plan: "pro", list: [], either: 1 };

for (const [change, says] of [
  [{ email: undefined }, "email is missing: a string is expected"],
  [{ cents: "5" }, "cents is a string: a number is expected"],
  [{ cents: null }, "cents is null: a number is expected"],
  [{ plan: "gold" }, 'plan is not one of "free", "pro"'],
  [{ list: [{}] }, "list.0.id is missing: a string is expected"],
  [{ either: true }, "either is not valid"],
  [{ more: 1 }, "the value has unknown keys: more"],
  [{ email: "ada" }, "email: Invalid email address"],
] as const)
  test(`says of ${JSON.stringify(change)}: ${says}`, () => {
    const { error } = schema.safeParse({ ...good, ...change });
    expect(zodInWords(error as z.ZodError)).toBe(says);
  });

test("a failed delivery logs and stores what is wrong with the payload in words", async () => {
  const handler = `import { handler } from "hookonce";
import { z } from "zod";
const Paid = z.object({ customer: z.string(), cents: z.int() });
export default handler(({ event }) => { Paid.parse(event.payload); });
`;
  await using inbox = await testInbox({ files: { "handlers/default/_any.ts": handler } });
  expect((await inbox.deliver({ event_id: "1", type: "paid", cents: "5" })).status).toBe(500);
  expect(inbox.value("select error from hookonce_failures")).toBe(
    "customer is missing: a string is expected\ncents is a string: a number is expected",
  );
});
