import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { playDemo } from "../demo/demo.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { EXIT } from "./exit.ts";

/**
 * `hookonce demo`. Exits with 1 if hookonce credited wrongly, and with 128 + N if signal N ended the demo.
 */
export async function runDemo(): Promise<number> {
  // fetch uses a proxy even for loopback addresses, unless NO_PROXY names them.
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
      `The demo cannot make a temporary folder: ${messageOf(error)}. Set TMPDIR to a folder that it can write to.`,
      { cause: error },
    );
  }
}
