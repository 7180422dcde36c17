import { describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, scratch, serve } from "../cli/support/hookonce.ts";
import { ts } from "./sources.ts";

/**
 * Mistakes in handlers whose errors nothing catches. The stack of such an error may not lead to the handler.
 */
const LATE: Record<string, string> = {
  timer: "setTimeout(() => db.run(sql`insert into credits values ('late', 1)`), 1);",
  immediate: "setImmediate(() => db.$client.run(\"insert into credits values ('late', 1)\"));",
  promise: "void Promise.resolve().then(() => db.run(sql`insert into credits values ('late', 1)`));",
  awaited: "void (async () => { await null; db.run(sql`insert into credits values ('late', 1)`); })();",
  query: "setTimeout(() => db.insert(effects).values({ eventId: 'x', note: 'late' }).run(), 1);",
  transaction: "setTimeout(() => db.transaction(() => {}), 1);",
  at_once: "void new Promise(() => db.$client.run('insert into nowhere values (1)'));",
  refused: "void new Promise(() => db.$client.prepare('drop table credits'));",
  zod: "setTimeout(() => z.string().parse(1), 1);",
  reply: "setTimeout(() => reply({ status: 99 }), 1);",
  odd: "setTimeout(() => { throw Object.defineProperty(new Error('odd'), 'cause', { get() { throw 1; } }); }, 1);",
  own: "setTimeout(() => { throw new Error('no'); }, 1);",
};

/** What the log says, if it is not that the handler has returned. */
const REPORTED: Record<string, string> = {
  at_once: "no such table: nowhere",
  refused: "statement_refused A handler's statement must start with",
  zod: "the value is a number: a string is expected",
  reply: "invalid_reply The reply cannot be sent",
  odd: "odd",
  own: "no",
};

const handlers = Object.fromEntries(
  Object.entries(LATE).map(([name, body]) => [
    `handlers/default/${name}.ts`,
    ts(body, 'import { reply } from "hookonce";\nimport { z } from "zod";'),
  ]),
);

describe("a handler with an uncaught late error", () => {
  for (const how of ["its own name", "a symbolic link"]) {
    test(`does not end the process if the folder is served by ${how}`, async () => {
      using inbox = scratch({ ...inboxFiles, ...handlers });
      using links = scratch();
      const folder = how === "its own name" ? inbox.path : join(links.path, "inbox");
      if (folder !== inbox.path) symlinkSync(inbox.path, folder);
      await using server = await serve(folder);
      for (const type of Object.keys(LATE)) {
        const { status } = await server.post("/webhook", { event_id: type, type });
        expect([type, status]).toEqual([type, 200]);
      }
      await Bun.sleep(50);
      expect((await fetch(`${server.url}/readyz?within=0`)).status).toBe(200);
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
      expect(server.log.filter(({ level }) => level === "fatal")).toEqual([]);
      const late = server.log.filter(({ msg }) => String(msg).startsWith("a handler failed after"));
      expect(late).toHaveLength(Object.keys(LATE).length);
      const said = late.map(({ code, cause }) => [code, cause].filter(Boolean).join(" "));
      for (const name of Object.keys(LATE)) {
        const expected = REPORTED[name] ?? "handler_finished This handler has returned";
        const index = said.findIndex((text) => text.startsWith(expected));
        expect([name, said, index]).not.toEqual([name, said, -1]);
        said.splice(index, 1);
      }
    });
  }
});
