// Runs for each event of the source `default` whose type is "user.created", such as
//   {"event_id":"evt_2","type":"user.created","email":"ada@example.com","name":"Ada"}

import { bigint, pgTable, text } from "drizzle-orm/pg-core";
import { handler } from "hookonce";
import { z } from "zod";

const User = z.object({
  email: z.email(),
  name: z.string().optional(),
});

// As migrations/0001_credits.sql makes it.
const signups = pgTable("signups", {
  eventId: text("event_id").primaryKey(),
  email: text().notNull(),
  name: text(),
  signedUpAt: bigint("signed_up_at", { mode: "number" }).notNull(),
});

// A handler runs inside the transaction that stores the event's id. Await each query. If the handler throws, as
// `parse` does if the payload is not a User, only the failure is stored, and the next delivery runs it again.
export default handler(async ({ event, db }) => {
  const user = User.parse(event.payload);

  await db.insert(signups).values({
    eventId: event.id,
    email: user.email,
    name: user.name ?? null,
    signedUpAt: event.receivedAt,
  });
});
