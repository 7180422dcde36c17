import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Injection {
  /** An strace expression, for example "fsync,fdatasync:error=EIO:when=3+". */
  inject: string;
  /** Only calls on this file fail. */
  path: string;
}

export interface Tracer extends AsyncDisposable {
  /** How many calls failed. Waits until the traced process has ended. */
  injected(): Promise<number>;
}

/**
 * Attaches strace to all threads of a running process and makes calls on one file fail. `when` counts from
 * now on, not from the start with its migrations.
 */
export async function injectFaults(pid: number, { inject, path }: Injection): Promise<Tracer> {
  const calls = inject.slice(0, inject.indexOf(":"));
  const log = join(tmpdir(), `hookonce-strace-${process.pid}-${pid}.log`);
  const strace = Bun.spawn(
    [
      "strace",
      "-f",
      "-p",
      String(pid),
      "-P",
      path,
      "-e",
      `trace=${calls}`,
      "-e",
      `inject=${inject}`,
      "-o",
      log,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  await untilTraced(pid);
  return {
    async injected() {
      await strace.exited;
      return (await Bun.file(log).text()).split("(INJECTED)").length - 1;
    },
    async [Symbol.asyncDispose]() {
      strace.kill("SIGTERM"); // strace detaches, and the process continues
      await strace.exited;
      await Bun.file(log).delete();
    },
  };
}

async function untilTraced(pid: number): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!/^TracerPid:\t[1-9]/m.test(await Bun.file(`/proc/${pid}/status`).text())) {
    if (performance.now() > deadline) throw new Error("strace did not attach");
    await Bun.sleep(10);
  }
}
