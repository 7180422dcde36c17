import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, lchownSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookonceError } from "../../src/errors.ts";
import { connectToServe, listenOnSocket, socketPathOf } from "../../src/http/admin/socket.ts";
import { describeUnless, needsRoot } from "../crash/requirements.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const OTHER = 4321;
let requests = 0;
const app = { fetch: () => new Response(String(++requests)) };

let folder: string;

beforeEach(() => {
  requests = 0;
  folder = temporaryFolder("socket");
});

afterEach(() => rmSync(folder, { recursive: true }));

/** In a folder, or with a name, that is longer than a socket's path may be. */
const PLACES = {
  short: "data/hookonce.db",
  "a long folder": `${"d".repeat(100)}/${"e".repeat(100)}/hookonce.db`,
  "a long name": `data/${"n".repeat(200)}.db`,
} as const;

function database(place: keyof typeof PLACES): string {
  const path = join(folder, PLACES[place]);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  return path;
}

async function* slowly() {
  yield "begun ";
  await Bun.sleep(300);
  yield "ended";
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
  for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
    test(`is beside it, whatever the environment is, and connects commands to serve: ${place}`, async () => {
      const path = database(place);
      expect(dirname(socketPathOf(path))).toBe(dirname(path));
      expect(await connectToServe(path)).toBeUndefined();
      const socket = listenOnSocket(app, path);
      expect(statSync(socketPathOf(path)).mode & 0o777).toBe(0o600);
      expect(await connectToServe(path)).toBeDefined();
      await socket.stop();
      expect(await connectToServe(path)).toBeUndefined();
    });
  }

  test("of a serve that is stopped is given up after a time", async () => {
    const path = database("short");
    // It accepts connections and never answers, as a process does after SIGSTOP.
    const listener = Bun.listen({ unix: socketPathOf(path), socket: { data() {} } });
    expect(await refusalOf(() => connectToServe(path, { firstMs: 100, laterMs: 100 }))).toBe(
      `serve_unreachable: hookonce serve has not answered on ${socketPathOf(path)} for 0.1 s. Either the process is stopped (SIGSTOP), or a handler keeps it busy. Wait and run the command again, or restart hookonce serve.`,
    );
    listener.stop(true);
  });

  test("gives a later request up as well, and lets a stream that has begun go on", async () => {
    const path = database("short");
    const never = Promise.withResolvers<Response>();
    const socket = listenOnSocket(
      {
        fetch({ url }) {
          if (url.endsWith("/api/status")) return never.promise;
          return new Response(url.endsWith("/api/stream") ? slowly() : "");
        },
      },
      path,
    );
    const client = await connectToServe(path, { firstMs: 5000, laterMs: 100 });
    expect(await refusalOf(() => client?.api.status.$get())).toStartWith("serve_unreachable: ");
    const stream = await client?.api.stream.$get({ query: {} });
    expect(await (stream as Response | undefined)?.text()).toBe("begun ended");
    never.resolve(new Response(""));
    await socket.stop();
  });
});

test("the actor of a command is the user of its process, whatever $USER says", () => {
  const name = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  for (const USER of ["mallory", undefined]) {
    const child = Bun.spawnSync(
      [
        process.execPath,
        "-e",
        `console.log(require(${JSON.stringify(join(import.meta.dir, "../../src/http/admin/user-name.ts"))}).userName())`,
      ],
      { env: { ...process.env, USER } },
    );
    expect(child.stdout.toString()).toBe(`${name}\n`);
  }
});

describeUnless(needsRoot(), "another user's socket", () => {
  test("is sent nothing", async () => {
    const path = database("short");
    const socket = listenOnSocket(app, path);
    chownSync(socketPathOf(path), OTHER, OTHER);
    expect(await refusalOf(() => connectToServe(path))).toStartWith(
      `permission_denied: hookonce does not use the socket ${socketPathOf(path)}, because it belongs to another user (uid ${OTHER}).`,
    );
    expect(requests).toBe(0);
    await socket.stop();
  });

  test("is not used if the name is a link to it, or to a trusted one", async () => {
    const path = database("a long folder");
    const socket = listenOnSocket(app, database("short"));
    symlinkSync(socketPathOf(database("short")), socketPathOf(path));
    lchownSync(socketPathOf(path), OTHER, OTHER);
    expect(await refusalOf(() => connectToServe(path))).toContain("it belongs to another user");
    await socket.stop();
  });

  test("is used if that user owns the database, as when root runs a command", async () => {
    const path = database("short");
    const socket = listenOnSocket(app, path);
    for (const file of [path, socketPathOf(path)]) chownSync(file, OTHER, OTHER);
    expect(await connectToServe(path)).toBeDefined();
    expect(requests).toBe(1);
    await socket.stop();
  });

  test("of a process that has ended does not hinder a start", async () => {
    const path = database("short");
    writeFileSync(socketPathOf(path), "");
    chownSync(socketPathOf(path), OTHER, OTHER);
    const socket = listenOnSocket(app, path);
    expect(await connectToServe(path)).toBeDefined();
    await socket.stop();
  });
});
