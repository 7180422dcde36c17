import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, lchownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { HookonceError } from "../../src/errors.ts";
import { connectToServe, listenOnSocket, socketPathOf } from "../../src/http/admin/socket.ts";
import { describeUnless, needsRoot } from "../crash/requirements.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const OTHER = 4321;
let requests = 0;
const app = { fetch: () => new Response(String(++requests)) };

let folder: string;
let runtime: string;
let runtimeBefore: string | undefined;

beforeEach(() => {
  requests = 0;
  folder = temporaryFolder("socket");
  runtime = join(folder, "run");
  mkdirSync(runtime, { mode: 0o700 });
  runtimeBefore = process.env["XDG_RUNTIME_DIR"];
  process.env["XDG_RUNTIME_DIR"] = runtime;
});

afterEach(() => {
  if (runtimeBefore === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = runtimeBefore;
  rmSync(folder, { recursive: true });
});

/** A database whose socket is beside it, or, if its path is too long for that, in the runtime directory. */
function database(place: "beside" | "runtime"): string {
  const path = join(folder, place === "beside" ? "data" : "d".repeat(100), "hookonce.db");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  expect(dirname(socketPathOf(path))).toBe(place === "beside" ? dirname(path) : runtime);
  return path;
}

async function refusalOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(HookonceError);
    const { code, message } = error as HookonceError;
    return `${code}: ${message}`;
  }
  throw new Error("was not refused");
}

describe("the socket of a database", () => {
  for (const place of ["beside", "runtime"] as const) {
    test(`connects commands to serve: ${place}`, async () => {
      const path = database(place);
      expect(await connectToServe(path)).toBeUndefined();
      const socket = listenOnSocket(app, path);
      expect(await connectToServe(path)).toBeDefined();
      await socket.stop();
      expect(await connectToServe(path)).toBeUndefined();
    });
  }

  for (const mode of [0o777, 0o770]) {
    test(`is refused in a runtime directory with mode ${mode.toString(8)}, where others could replace it`, async () => {
      const path = database("runtime");
      const socket = listenOnSocket(app, path);
      chmodSync(runtime, mode);
      const refusal = `permission_denied: hookonce does not use the socket ${socketPathOf(path)}, because other users can replace the files in its folder. Shorten the path`;
      expect(await refusalOf(() => connectToServe(path))).toStartWith(refusal);
      expect(await refusalOf(() => listenOnSocket(app, path))).toStartWith(refusal);
      chmodSync(runtime, 0o1777);
      expect(await connectToServe(path)).toBeDefined();
      await socket.stop();
    });
  }
});

describeUnless(needsRoot(), "another user's socket", () => {
  for (const place of ["beside", "runtime"] as const) {
    test(`is sent nothing: ${place}`, async () => {
      const path = database(place);
      const socket = listenOnSocket(app, path);
      chownSync(socketPathOf(path), OTHER, OTHER);
      expect(await refusalOf(() => connectToServe(path))).toStartWith(
        `permission_denied: hookonce does not use the socket ${socketPathOf(path)}, because it belongs to another user (uid ${OTHER}).`,
      );
      expect(requests).toBe(0);
      await socket.stop();
    });
  }

  test("is not used if the name is a link to it, or to a trusted one", async () => {
    const path = database("runtime");
    const socket = listenOnSocket(app, database("beside"));
    symlinkSync(socketPathOf(database("beside")), socketPathOf(path));
    lchownSync(socketPathOf(path), OTHER, OTHER);
    expect(await refusalOf(() => connectToServe(path))).toContain("it belongs to another user");
    await socket.stop();
  });

  for (const place of ["beside", "runtime"] as const) {
    test(`is used if that user owns the database, as when root runs a command: ${place}`, async () => {
      const path = database(place);
      const socket = listenOnSocket(app, path);
      for (const file of [path, runtime, socketPathOf(path)]) chownSync(file, OTHER, OTHER);
      expect(await connectToServe(path)).toBeDefined();
      expect(requests).toBe(1);
      await socket.stop();
    });
  }

  test("of a process that has ended does not hinder a start", async () => {
    const path = database("beside");
    writeFileSync(socketPathOf(path), "");
    chownSync(socketPathOf(path), OTHER, OTHER);
    const socket = listenOnSocket(app, path);
    expect(await connectToServe(path)).toBeDefined();
    await socket.stop();
  });

  test("cannot be in the runtime directory of another user", async () => {
    const path = database("runtime");
    const socket = listenOnSocket(app, path);
    chownSync(runtime, OTHER, OTHER);
    const refusal = `permission_denied: hookonce does not use the socket ${join(runtime, basename(socketPathOf(path)))}, because its folder belongs to another user (uid ${OTHER}).`;
    expect(await refusalOf(() => connectToServe(path))).toStartWith(refusal);
    expect(await refusalOf(() => listenOnSocket(app, path))).toStartWith(refusal);
    await socket.stop();
  });
});
