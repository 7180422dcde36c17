import { FFIType, ptr } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { openLibc } from "../engines/libc.ts";
import { keepTail, type OutputTail } from "./output-tail.ts";

/**
 * Waits for a line on descriptor 3 before it becomes the command. If hookonce dies before it has written that
 * line, the shell reads the end of the file and ends, and nothing of the command has run. The shell does
 * nothing else: it takes the command as parameters, which it does not interpret.
 */
const GATE = 'read -r go <&3 && exec "$0" "$@" 3<&-';

/** A command that waits for `go`. It leads a process group and a session, both with its pid as number. */
export interface CommandProcess {
  readonly pid: number;
  readonly output: OutputTail;
  /** Resolves when the command itself has ended, whatever it has left in the background. */
  readonly ended: Promise<{ readonly code: number; readonly signal: string | number | null }>;
  /** Lets it begin. */
  go(): void;
  /** Ends the command alone, for systems without process groups. */
  kill(): void;
}

export interface CommandOrder {
  /** The path of the program, and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly input: Uint8Array;
  /** How much of its output to keep. */
  readonly outputBytes: number;
}

/** @throws Error if the system cannot start a process now */
export function startCommand(order: CommandOrder): CommandProcess {
  return process.platform === "win32" ? startAtOnce(order) : startBehindGate(order);
}

function startBehindGate({ command, folder, environment, input, outputBytes }: CommandOrder): CommandProcess {
  const output = openPipe();
  const stdin = inMemoryFile(input);
  let child;
  try {
    child = Bun.spawn(["/bin/sh", "-c", GATE, ...command], {
      cwd: folder,
      env: environment,
      detached: true,
      // One pipe for both, so that the order of what it prints is kept.
      stdio: [stdin ?? input, output.write, output.write, "pipe"],
    });
  } catch (error) {
    closeSync(output.read);
    throw error;
  } finally {
    closeSync(output.write);
    if (stdin !== undefined) closeSync(stdin);
  }
  const gate = child.stdio[3] as number;
  const tail = keepTail([Bun.file(output.read).stream()], outputBytes);
  void tail.ended.then(() => closeSync(output.read));
  const ended = child.exited.then((code) => ({ code, signal: child.signalCode }));
  void ended.then(() => closeSync(gate));
  return {
    pid: child.pid,
    output: tail,
    ended,
    go() {
      try {
        writeSync(gate, "\n");
      } catch {
        // It has ended: something else has killed it.
      }
    },
    kill: () => child.kill(),
  };
}

/** Windows has neither process groups nor a shell that could wait. */
function startAtOnce({ command, folder, environment, input, outputBytes }: CommandOrder): CommandProcess {
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: environment,
    stdio: [input, "pipe", "pipe"],
    windowsHide: true,
  });
  return {
    pid: child.pid,
    output: keepTail([child.stdout, child.stderr], outputBytes),
    ended: child.exited.then((code) => ({ code, signal: child.signalCode })),
    go() {},
    kill: () => child.kill(),
  };
}

const { i32, u32, cstring } = FFIType;

/**
 * A real pipe. Bun's own are sockets, and a script that writes to /dev/stderr cannot open a socket. Bun passes
 * only the descriptors in `stdio` to a child.
 */
function openPipe(): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(2);
  const libc = openLibc({ pipe: { args: [FFIType.ptr], returns: i32 } });
  if (libc?.pipe(ptr(ends)) !== 0) throw new Error("The system could not make a pipe.");
  const [read, write] = ends as unknown as [number, number];
  return { read, write };
}

// https://man7.org/linux/man-pages/man2/memfd_create.2.html
const MFD_CLOEXEC = 1;

/**
 * A file in memory with the payload. So the command has all of it, even if hookonce dies meanwhile, and may
 * leave it unread. Bun makes one, too, but it would exist until the next garbage collection.
 *
 * @returns undefined if the system has no such files, for example macOS
 */
function inMemoryFile(content: Uint8Array): number | undefined {
  if (process.platform !== "linux") return undefined;
  const libc = openLibc({ memfd_create: { args: [cstring, u32], returns: i32 } });
  const file = libc?.memfd_create(Buffer.from("payload\0"), MFD_CLOEXEC) ?? -1;
  if (file < 0) return undefined;
  // At a position, so that the command reads from the beginning.
  for (let written = 0; written < content.length;)
    written += writeSync(file, content, written, content.length - written, written);
  return file;
}
