// Runs for each event of the source `default` whose type is "user.created", such as
//   {"event_id":"evt_2","type":"user.created","email":"ada@example.com","name":"Ada"}

import { sql } from "drizzle-orm";
import { handler } from "hookonce";
import { z } from "zod";

const User = z.object({
  email: z.email(),
  name: z.string().optional(),
});

// A handler is synchronous, because it runs inside the transaction that stores the event's id. If it throws,
// as `parse` does if the payload is not a User, only the failure is stored, and the next delivery runs the
// handler again.
export default handler(({ event, db }) => {
  const user = User.parse(event.payload);

  db.run(sql`
    insert into signups (event_id, email, name, signed_up_at)
    values (${event.id}, ${user.email}, ${user.name ?? null}, ${event.receivedAt})
  `);
});
