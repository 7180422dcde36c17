import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { filesWith } from "../support/files-with.ts";
import { scratch, serve, type Scratch } from "./support/hookonce.ts";
import { onTerminal, type OnTerminal } from "./support/on-terminal.ts";

/** Commands that cannot be undone ask on a terminal if they would change more than one event. */

const TEXT = "zoe.unal@example.com";
const CONTINUE = "Continue? [y/N] ";
const ENTER = "\r";
/** Ctrl-D on an empty line. */
const END = "\u0004";

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
};

type Folder = Pick<Scratch, "path">;

/** A served inbox folder that has received two events of each type. */
async function withEvents(): Promise<Folder & AsyncDisposable> {
  const inbox = scratch(files);
  const server = await serve(inbox.path);
  for (const id of ["a", "b"]) await server.post("/webhook", { event_id: id, type: "paid", email: TEXT });
  for (const id of ["c", "d"]) await server.post("/webhook", { event_id: id, type: "other" });
  return {
    path: inbox.path,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      inbox[Symbol.dispose]();
    },
  };
}

const type = (inbox: Folder, args: readonly string[], answers: OnTerminal["answers"] = []) =>
  onTerminal([...args, "--folder", inbox.path], { columns: 200, answers });

function value(inbox: Folder, query: string): unknown {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.query(query).values()[0]?.[0];
}

describeUnless(onlyInFullRun(), "on a terminal", () => {
  test("forget asks for the text, says what it would do, and does nothing without a yes", async () => {
    await using inbox = await withEvents();
    const args = ["forget", "--match", "-", "--reason", "asked to"];
    const typed = ["The text to forget: ", `${TEXT}${ENTER}`] as const;
    for (const no of [ENTER, `n${ENTER}`, `yesterday${ENTER}`, END]) {
      const { code, text } = await type(inbox, args, [typed, [CONTINUE, no]]);
      expect([no, code, text]).toEqual([no, 1, expect.stringContaining("Nothing was changed.")]);
      expect(text).toContain("2 events would be forgotten. This cannot be undone.");
    }
    expect(filesWith(join(inbox.path, "data"), TEXT)).not.toEqual([]);
    const { code, text } = await type(inbox, args, [typed, [CONTINUE, `Yes${ENTER}`]]);
    expect([code, text]).toEqual([0, expect.stringContaining("2 events forgotten.")]);
    expect(filesWith(join(inbox.path, "data"), TEXT)).toEqual([]);
    // Nothing is left to be asked about.
    const again = await type(inbox, args, [typed]);
    expect([again.code, again.text]).toEqual([0, expect.stringContaining("Nothing that is stored matches.")]);
    expect(again.text).not.toContain(CONTINUE);
  }, 120_000);

  test("replay says that changes are made a second time", async () => {
    await using inbox = await withEvents();
    const args = ["replay", "--type", "paid", "--reason", "lost"];
    const no = await type(inbox, args, [[CONTINUE, ENTER]]);
    expect([no.code, no.text]).toEqual([1, expect.stringContaining("Nothing was changed.")]);
    expect(no.text).toContain(
      "2 events would be replayed. Their handlers' changes are made a second time. Continue?",
    );
    expect(value(inbox, "select count(*) from effects")).toBe(2);
    expect((await type(inbox, args, [[CONTINUE, `y${ENTER}`]])).code).toBe(0);
    expect(value(inbox, "select count(*) from effects")).toBe(4);
    // By its id, it is one event, and was chosen.
    const one = await type(inbox, ["replay", "a", "--reason", "lost"]);
    expect([one.code, one.text.includes(CONTINUE)]).toEqual([0, false]);
    expect(value(inbox, "select count(*) from effects")).toBe(5);
  }, 120_000);

  test("discard asks before it gives up more than one event", async () => {
    await using inbox = await withEvents();
    const args = ["discard", "--type", "other", "--reason", "a test"];
    const discarded = "select count(*) from hookonce_events where outcome = 'discarded'";
    const no = await type(inbox, args, [[CONTINUE, END]]);
    expect([no.code, no.text]).toEqual([1, expect.stringContaining("2 events would be discarded.")]);
    expect(no.text).toContain("Nothing was changed.");
    expect(value(inbox, discarded)).toBe(0);
    const one = await type(inbox, ["discard", "c", "--reason", "a test"]);
    expect([one.code, one.text.includes(CONTINUE)]).toEqual([0, false]);
    // One event is left: it is not asked about.
    expect((await type(inbox, args)).code).toBe(0);
    expect(value(inbox, discarded)).toBe(2);
  }, 120_000);
});
