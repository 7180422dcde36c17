import { accessSync, constants, closeSync, openSync, readSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";

/** Where a command is looked up. */
export interface CommandPlace {
  readonly inboxFolder: string;
  /** The variable of serve's environment. */
  readonly path: string | undefined;
}

/**
 * Finds the program of a command. A name with a slash is a path, which begins in the inbox folder if it is
 * relative. A bare name is looked up in PATH, as a shell does.
 *
 * @returns undefined if PATH does not have it
 */
export function findProgram(program: string, { inboxFolder, path }: CommandPlace): string | undefined {
  if (hasFolder(program)) return resolve(inboxFolder, program);
  return Bun.which(program, { PATH: path ?? "" }) ?? undefined;
}

function hasFolder(program: string): boolean {
  return program.includes("/") || (process.platform === "win32" && program.includes("\\"));
}

/** Says why a command could not be run now, with the remedy; undefined if it could. */
export function checkCommand([program = ""]: readonly string[], place: CommandPlace): string | undefined {
  const file = findProgram(program, place);
  const stat = file === undefined ? undefined : statOf(file);
  if (file === undefined || stat === undefined) return `${quoted(program)} ${whyMissing(program, place)}`;
  if (stat.isDirectory()) return `${quoted(program)} is a folder. Name the program in it.`;
  if (process.platform === "win32") return undefined;
  if (!isExecutable(file)) return `${quoted(program)} is not executable. Run: chmod +x ${shellWord(file)}`;
  const why = formatProblem(file, place.inboxFolder);
  return why === undefined ? undefined : `${quoted(program)} ${why}`;
}

function whyMissing(program: string, place: CommandPlace): string {
  const { inboxFolder } = place;
  const [first = "", ...rest] = program.trim().split(/\s+/);
  const file = rest.length > 0 ? findProgram(first, place) : undefined;
  if (file !== undefined && statOf(file) !== undefined)
    return `does not exist. Write each argument as a separate text: command = ${JSON.stringify([first, ...rest])}`;
  if (program.startsWith("~/")) return "does not exist: no shell runs it, so write the path without ~.";
  if (hasFolder(program))
    return isAbsolute(program)
      ? "does not exist. Correct the path."
      : `does not exist in ${inboxFolder}. Relative paths begin in the inbox folder.`;
  return statOf(resolve(inboxFolder, program)) === undefined
    ? "is not in PATH. Write its whole path, or add its folder to serve's PATH."
    : `is not in PATH. For the file in the inbox folder, write ${quoted(`./${program}`)}.`;
}

/** The kernel reads at most this much of the line that names the interpreter, in bytes. */
const HEAD_BYTES = 256;

/** ELF, and Mach-O for one or several processors. */
const PROGRAMS = /^(?:7f454c46|feedfac[ef]|c[ef]faedfe|cafebabe)/;

function formatProblem(file: string, inboxFolder: string): string | undefined {
  const head = readHead(file);
  // A program may be executable and not readable.
  if (head === undefined || PROGRAMS.test(head.toString("hex", 0, 4))) return undefined;
  if (head.toString("latin1", 0, 2) !== "#!")
    return "has no line that names its interpreter. If it is a shell script, begin it with: #!/bin/sh";
  const [line = ""] = head.toString("utf8", 2).split("\n");
  if (line.endsWith("\r"))
    return `has the line ends of Windows, and Linux takes them as part of the interpreter's name. Run: sed -i 's/\\r$//' ${shellWord(file)}`;
  const [interpreter = ""] = line.trim().split(/[ \t]/);
  if (interpreter === "" || statOf(resolve(inboxFolder, interpreter)) !== undefined) return undefined;
  return `needs the interpreter ${interpreter}, which does not exist. Install it, or correct the first line.`;
}

function readHead(file: string): Buffer | undefined {
  try {
    const descriptor = openSync(file, "r");
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      return head.subarray(0, readSync(descriptor, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}

function statOf(file: string): ReturnType<typeof statSync> | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const quoted = (text: string): string => JSON.stringify(text);

const shellWord = (text: string): string =>
  /^[\w./+@%:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
