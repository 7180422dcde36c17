import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { createMessageChanges } from "../../../src/engines/sqlite/message-entries.ts";
import { createOutbox } from "../../../src/engines/sqlite/outbox.ts";
import { openReader } from "../../../src/engines/sqlite/reader.ts";
import { createSettledEvents } from "../../../src/engines/settled-events.ts";
import { HookonceError } from "../../../src/errors.ts";
import { testInbox, type TestInbox } from "../../support/test-inbox.ts";

/** The view `hookonce_outbox`, into which handlers and other processes insert. */

const MAIL = "insert into hookonce_outbox (destination, body) values ('mail', :event_id);";

const DESTINATION = `[destinations.mail]
url = "http://127.0.0.1:9/mail"
sign = "none"
`;

const CONFIG = `[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"

${DESTINATION}`;

const hex = (text: string): string => Buffer.from(text).toString("hex").toUpperCase();

const configWith = (name: string, more = ""): string => `[sources.${name}]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
${more}
${DESTINATION}`;

const written = (inbox: TestInbox): string[] =>
  inbox
    .rows("select destination, event_id, cast(body as text) as body from hookonce_messages order by id")
    .map((row: { destination: string; event_id: string; body: string }) =>
      [row.destination, row.event_id, row.body].join(" "),
    );

/** Inserts as another process does. */
function insertElsewhere({ databasePath }: TestInbox, ...values: [destination: string, body: string]): void {
  using db = new Database(databasePath, { strict: true });
  db.run("insert into hookonce_outbox (destination, body) values (?, ?)", values);
}

test("what another process has inserted never becomes a message of an event", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: { "handlers/default/_any.sql": MAIL } });
  insertElsewhere(inbox, "mail", "from elsewhere");
  await inbox.deliver({ event_id: "a", type: "paid" });
  insertElsewhere(inbox, "mail", "from elsewhere, too");
  await inbox.deliver({ event_id: "b", type: "paid" });
  expect(written(inbox)).toEqual(["mail a a", "mail b b"]);
  expect(inbox.value("select count(*) from hookonce_enqueued")).toBe(2);
});

test("a trigger of the user's own tables may insert into it", async () => {
  const trigger = `create table users (email text) strict;
create trigger welcome after insert on users begin
  insert into hookonce_outbox (destination, body, id) values ('mail', new.email, 'welcome-' || new.email);
end;`;
  await using inbox = await testInbox({
    config: CONFIG,
    files: {
      "migrations/0001.sql": trigger,
      "handlers/default/_any.sql": "insert into users values (:payload ->> '$.email');",
    },
  });
  await inbox.deliver({ event_id: "a", type: "joined", email: "ada" });
  await inbox.deliver({ event_id: "b", type: "joined", email: "ada" });
  expect(written(inbox)).toEqual(["mail a ada"]);
});

test("a message is undone with the db.transaction that enqueued it", async () => {
  const code = `import { handler } from "hookonce";
export default handler(({ event, db, enqueue }) => {
  enqueue("mail", "kept");
  try {
    db.transaction(() => {
      enqueue("mail", "undone");
      throw new Error("no");
    });
  } catch {}
});`;
  await using inbox = await testInbox({ config: CONFIG, files: { "handlers/default/_any.ts": code } });
  await inbox.deliver({ event_id: "a", type: "paid" });
  expect(written(inbox)).toEqual(["mail a kept"]);
});

test("enqueue throws once the handler has returned", async () => {
  const code = `import { handler } from "hookonce";
let late;
export default handler(({ event, db, enqueue }) => {
  if (late === undefined) late = enqueue;
  else late("mail", "late");
});`;
  await using inbox = await testInbox({ config: CONFIG, files: { "handlers/default/_any.ts": code } });
  await inbox.deliver({ event_id: "a", type: "paid" });
  const { status, body } = await inbox.deliver({ event_id: "b", type: "paid" });
  expect([status, body.status]).toEqual([500, "failed"]);
  expect(inbox.value("select code from hookonce_failures")).toBe("handler_finished");
  expect(written(inbox)).toEqual([]);
});

test.each([
  ["insert into hookonce_enqueued (destination, body) values ('mail', 'x');", "hookonce_enqueued"],
  ["insert into HOOKONCE_Enqueued (destination, body) values ('mail', 'x');", "hookonce_enqueued"],
  ["delete from hookonce_enqueued;", "hookonce_enqueued"],
  ["insert into hookonce_messages (message_id) values ('x');", "hookonce_messages"],
  ["update hookonce_messages set state = 'waiting';", "hookonce_messages"],
  ["delete from hookonce_outbox;", "cannot modify hookonce_outbox because it is a view"],
])("a handler is refused that runs %s", async (statement, message) => {
  const refused = await testInbox({ files: { "handlers/default/_any.sql": statement } }).catch(
    (error: unknown) => error as HookonceError,
  );
  expect(refused).toBeInstanceOf(HookonceError);
  expect((refused as HookonceError).problems.map((one) => one.message).join()).toContain(message);
});

test("rows of other processes become messages; what cannot be sent is dead and says why", async () => {
  await using inbox = await testInbox();
  insertElsewhere(inbox, "mail", "good");
  insertElsewhere(inbox, "app", "refused");
  insertElsewhere(inbox, "later", "its destination may come");
  using db = new Database(inbox.databasePath, { strict: true });
  db.run("insert into hookonce_outbox (destination, body, id) values ('mail', 'bad id', 'a b')");
  db.run("insert into hookonce_outbox (destination, body, headers) values ('mail', 'bad headers', '[1]')");
  db.run(
    "insert into hookonce_outbox (destination, body, id) values ('mail', 'own', 'mine'), ('mail', 'again', 'mine')",
  );
  const outbox = createOutbox(db, (destination) =>
    destination === "mail"
      ? undefined
      : new HookonceError(destination === "app" ? "enqueue_refused" : "unknown_destination", "it cannot"),
  );
  outbox.adopt(7000);
  const rows = inbox.rows(
    "select cast(body as text) as body, state, last_error as error, event_id, created_at from hookonce_messages order by id",
  );
  expect(rows).toMatchObject([
    { body: "good", state: "waiting", error: null, event_id: "", created_at: 7000 },
    { body: "refused", state: "dead", error: "it cannot" },
    { body: "its destination may come", state: "waiting" },
    { body: "bad id", state: "dead", error: expect.stringContaining("its id must have") },
    { body: "bad headers", state: "dead", error: expect.stringContaining("headers must be a JSON object") },
    { body: "own", state: "waiting" },
  ]);
  expect(inbox.value("select count(*) from hookonce_enqueued")).toBe(0);
});

test("rows that become messages in one transaction with a handler's are not taken for the handler's", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: { "handlers/default/_any.sql": MAIL } });
  insertElsewhere(inbox, "mail", "one");
  insertElsewhere(inbox, "mail", "two");
  using db = new Database(inbox.databasePath, { strict: true });
  const outbox = createOutbox(db);
  db.run("begin immediate");
  outbox.begin();
  outbox.adopt(7000);
  db.run("insert into hookonce_outbox (destination, body) values ('mail', 'of the handler')");
  expect(db.query("select id from hookonce_enqueued").values()).toEqual([[3]]);
  db.run("rollback");
});

test("large rows of other processes become messages a few at a time, and at least one", async () => {
  await using inbox = await testInbox();
  using db = new Database(inbox.databasePath, { strict: true });
  for (const size of [3_000_000, 400_000, 400_000, 400_000, 1])
    db.run("insert into hookonce_outbox (destination, body) values ('mail', zeroblob(?))", [size]);
  const outbox = createOutbox(db);
  const left = (): unknown => {
    outbox.adopt(7000);
    return db.query("select count(*) from hookonce_enqueued").values()[0]?.[0];
  };
  expect([left(), left(), left(), left()]).toEqual([4, 2, 0, 0]);
});

test("numbers, bytes and text that is not UTF-8 keep their digits and bytes, and have a type", async () => {
  await using inbox = await testInbox();
  using db = new Database(inbox.databasePath, { strict: true });
  const values = ["9007199254740993", "1.0", "x'00ff'", "cast(x'c3' as text)", "'{\"a\":1}'"];
  for (const value of values)
    db.run(`insert into hookonce_outbox (destination, body) values ('mail', ${value})`);
  createOutbox(db).adopt(7000);
  const rows = db
    .query("select hex(body), headers ->> '$.content-type' from hookonce_messages order by id")
    .values();
  expect(rows).toEqual([
    [hex("9007199254740993"), "application/json"],
    [hex("1.0"), "application/json"],
    ["00FF", "application/octet-stream"],
    ["C3", "text/plain; charset=utf-8"],
    [hex('{"a":1}'), "application/json"],
  ]);
});

test("a message whose headers cannot be sent can be read and sent again without them", async () => {
  await using inbox = await testInbox();
  using db = new Database(inbox.databasePath, { strict: true });
  for (const headers of ["no json", "[1]", '{"a b":"c"}', '{"a":1}'])
    db.run("insert into hookonce_outbox (destination, body, headers) values ('mail', 'x', ?)", [headers]);
  createOutbox(db).adopt(7000);
  const reader = openReader(new Database(inbox.databasePath, { readonly: true, strict: true }));
  const stored = await Promise.all([1, 2, 3, 4].map(async (row) => reader.message(row)));
  reader.close();
  expect(stored.map((one) => one?.enqueued?.headers)).toEqual(
    Array.from({ length: 4 }, () => ({ "content-type": "text/plain; charset=utf-8" })),
  );
});

test("messages of a source that was renamed keep it", async () => {
  await using inbox = await testInbox({
    config: configWith("old"),
    files: { "handlers/old/_any.sql": MAIL, "handlers/new/_any.sql": MAIL },
  });
  await inbox.deliver({ event_id: "a", type: "paid" }, { source: "old" });
  await inbox.restart({ config: configWith("new", 'renamed_from = "old"') });
  expect(inbox.rows("select source, event_id from hookonce_messages")).toEqual([
    { source: "new", event_id: "a" },
  ]);
});

test.each([
  ["insert into hookonce_outbox (destination, body) values ('mail', null)", "NOT NULL constraint failed"],
  ["insert into hookonce_outbox (body) values ('x')", "NOT NULL constraint failed"],
])("%s is refused", async (statement, message) => {
  await using inbox = await testInbox();
  using db = new Database(inbox.databasePath, { strict: true });
  expect(() => db.run(statement)).toThrow(message);
});

test("a message that is sent again wakes its destination, and one that is discarded or unknown wakes none", async () => {
  await using inbox = await testInbox();
  using db = new Database(inbox.databasePath, { strict: true });
  db.run("insert into hookonce_outbox (destination, body) values ('mail', '1'), ('other', '2')");
  const outbox = createOutbox(db);
  outbox.adopt(7000);
  expect(outbox.takeWritten()).toEqual(new Set(["mail", "other"]));
  const change = createMessageChanges(db, outbox, createSettledEvents());
  const idOf = (destination: string): number =>
    Number(db.query("select id from hookonce_messages where destination = ?").values(destination)[0]?.[0]);
  expect(change({ kind: "message", action: "resend", message: idOf("mail"), at: 8000 })).toMatchObject({
    changed: true,
    state: "waiting",
  });
  expect(outbox.takeWritten()).toEqual(new Set(["mail"]));
  change({ kind: "message", action: "discard", message: idOf("other"), at: 8000, reason: "x" });
  expect(change({ kind: "message", action: "resend", message: 99, at: 8000 })).toMatchObject({
    changed: false,
    state: null,
  });
  expect(outbox.takeWritten()).toEqual(new Set());
});
