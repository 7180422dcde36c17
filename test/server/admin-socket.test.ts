import { afterEach, beforeEach, expect, test } from "bun:test";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  connectToServe,
  listenOnSocket,
  socketPathOf,
  type AdminSocket,
} from "../../src/http/admin/socket.ts";
import { describeUnless, needsLinux, needsRoot } from "../crash/requirements.ts";

/** Any user but root. */
const STRANGER = 54_321;

describeUnless(needsLinux() ?? needsRoot(), "the socket of serve", () => {
  let folder: string;
  let database: string;
  let socket: AdminSocket;
  let requests: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hookonce-socket-"));
    database = join(folder, "inbox.db");
    writeFileSync(database, "");
    requests = 0;
    socket = listenOnSocket({ fetch: () => new Response(String(++requests)) }, socketPathOf(database));
  });

  afterEach(async () => {
    await socket.stop();
    rmSync(folder, { recursive: true });
  });

  test("a stranger's socket is sent nothing", async () => {
    chownSync(socketPathOf(database), STRANGER, STRANGER);
    const refusal: unknown = await connectToServe(database).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: "permission_denied",
      message: expect.stringContaining(`the user with the id ${STRANGER}`) as string,
    });
    expect(requests).toBe(0);
  });

  test("the socket of the database's owner is used, also by root", async () => {
    chownSync(socketPathOf(database), STRANGER, STRANGER);
    chownSync(database, STRANGER, STRANGER);
    expect(await connectToServe(database)).toBeDefined();
    expect(requests).toBe(1);
  });
});
