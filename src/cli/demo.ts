import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { playDemo } from "../demo/demo.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { EXIT } from "./exit.ts";

/** `hookonce demo`. Exit 1 when hookonce was not exact; 128 and the signal's number when one ended it. */
export async function runDemo(): Promise<number> {
  // fetch would go through a proxy even to loopback, unless NO_PROXY happens to name it.
  for (const name of ["http_proxy", "HTTP_PROXY"]) delete process.env[name];

  const ended = new AbortController();
  let exitCode: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      exitCode = 128 + constants.signals[signal];
      ended.abort(new Error(`ended by ${signal}`));
    });
  }
  const folder = makeFolder();
  try {
    const exact = await playDemo({ folder, signal: ended.signal, say: console.log });
    return exitCode ?? (exact ? EXIT.done : EXIT.failed);
  } catch (error) {
    if (exitCode !== undefined) return exitCode;
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "hookonce-demo-"));
  } catch (error) {
    throw new HookonceError(
      "storage_failed",
      `The demo needs a temporary folder, and could not make one: ${messageOf(error)}. TMPDIR says where they go.`,
      { cause: error },
    );
  }
}
