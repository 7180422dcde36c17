import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { inboxFiles, scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { ts } from "./sources.ts";

const CALLED =
  /^The handler called process\.\w+(?: on its own process|\("\w+"\)|\(\))?, which would end hookonce\. To fail/;

/** Each ends the process if nothing stops it. */
const ends: Record<string, string> = {
  exit: ts("process.exit(0);"),
  exit_without_code: ts("process.exit();"),
  exit_in_finally: ts("try { throw new Error('first'); } finally { process.exit(1); }"),
  abort: ts("process.abort();"),
  really_exit: ts("process.reallyExit(3);"),
  kill: ts("process.kill(process.pid, 'SIGKILL');"),
  kill_group: ts("process.kill(0, 'SIGTERM');"),
  execve: ts("process.execve('/bin/true', ['true'], {});"),
  _kill: ts("process._kill(process.pid, 15);"),
  emit_sigterm: ts("process.emit('SIGTERM');"),
  emit_sigint: ts("process.emit('SIGINT', 'SIGINT', 2);"),
  emit_sighup: ts("process.emit('SIGHUP');"),
  emit_uncaught: ts("process.emit('uncaughtException', Object.assign(new Error('x'), { stack: '' }));"),
  emit_of_prototype: ts("Object.getPrototypeOf(process).emit.call(process, 'SIGTERM');"),
  remove_listeners: ts("process.removeAllListeners('SIGTERM');"),
  remove_all_listeners: ts("process.removeAllListeners();"),
  imported: ts("exit(3);", 'import { exit } from "node:process";'),
  default_import: ts("p.exit(3);", 'import p from "process";'),
  required: ts("require('node:process').exit(3);"),
  kept: ts("exit(3);", "const { exit } = process;"),
  in_library: ts("stop();", 'import { stop } from "../lib/stop.ts";'),
};

const late: Record<string, string> = {
  timer: ts("setTimeout(() => process.exit(3), 1);"),
  emit_in_timer: ts("setTimeout(() => process.emit('SIGTERM'), 1);"),
  promise: ts("void Promise.resolve().then(() => process.exit(3));"),
};

let folder: Scratch;
let server: Serving;
beforeAll(async () => {
  folder = scratch({
    ...inboxFiles,
    "handlers/lib/stop.ts": "export const stop = () => process.exit(3);\n",
    "handlers/default/prints_late.ts": ts("setTimeout(() => console.log('%s later', 'a moment'), 1);"),
    "handlers/default/emits.ts": ts(
      "process.once('mine', () => {}); if (!process.emit('mine')) throw new Error('not emitted');",
    ),
    "handlers/default/asks.ts": ts("process.kill(process.pid, 0);"),
    ...Object.fromEntries(
      Object.entries({ ...ends, ...late }).map(([type, text]) => [`handlers/default/${type}.ts`, text]),
    ),
  });
  server = await serve(folder.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

type Line = Record<string, unknown>;

async function logged(msg: string, matches: (line: Line) => boolean = () => true): Promise<Line | undefined> {
  const deadline = performance.now() + 3000;
  for (;;) {
    const line = server.log.find((one) => one["msg"] === msg && matches(one));
    if (line !== undefined || performance.now() > deadline) return line;
    await Bun.sleep(10);
  }
}

const deliver = (type: string) => server.post("/webhook", { event_id: type, type });

describe("a handler that would end the process fails like any other", () => {
  test.each(Object.keys(ends))("%s", async (type) => {
    const { status, body } = await deliver(type);
    expect([status, body["status"]]).toEqual([500, "failed"]);
    expect((await deliver(type)).status).toBe(500);
    const line = await logged("delivery", ({ event }) => event === type);
    expect(line).toMatchObject({ code: "handler_error", cause: expect.stringMatching(CALLED) as string });
  });

  test.each(Object.keys(late))("after it has returned, it is only logged: %s", async (type) => {
    expect((await deliver(type)).body["status"]).toBe("processed");
    const line = await logged(
      "a handler failed after it had returned; none of its late writes were stored",
      ({ cause }) => CALLED.test(String(cause)),
    );
    expect(line?.["level"]).toBe("error");
  });

  test("an event that ends nothing is still emitted", async () => {
    expect((await deliver("emits")).body["status"]).toBe("processed");
  });

  test("a signal that ends nothing is still sent", async () => {
    expect((await deliver("asks")).body["status"]).toBe("processed");
  });
});

test("what a handler prints after it has returned is a log line", async () => {
  await deliver("prints_late");
  expect(await logged("a moment later")).toMatchObject({ level: "info" });
});

test("hookonce itself still ends, and at once", async () => {
  // It always waits longer than a second if its own exit is refused, too. A busy machine delays some ends.
  let fastest = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5 && fastest > 1000; n++) {
    if (n > 0) server = await serve(folder.path);
    const before = performance.now();
    server.signal("SIGTERM");
    const { code } = await server.ended;
    expect(code).toBe(0);
    fastest = Math.min(fastest, performance.now() - before);
  }
  expect(fastest).toBeLessThan(1000);
}, 60_000);
