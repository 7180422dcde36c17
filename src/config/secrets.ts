import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { messageOf } from "../errors.ts";
import { readTextFile } from "./text-file.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Looks up a reference: the secret, or the problem. The problem names the reference and never shows the
 * secret.
 */
export type SecretLookup = (reference: string) => { secret: string } | { problem: string };

/**
 * `env:NAME` is looked up in the process environment first, then in the inbox folder's `.env`, never in the
 * working directory's. The path of `file:path` is absolute, under `$CREDENTIALS_DIRECTORY`, or relative to
 * the inbox folder.
 */
export function createSecretLookup(inboxFolder: string, environment: Environment): SecretLookup {
  const dotEnvPath = join(inboxFolder, ".env");
  let dotEnv: Environment = {};
  let unreadable = "";
  try {
    dotEnv = readDotEnv(inboxFolder);
  } catch (error) {
    unreadable = ` (which cannot be read: ${messageOf(error)})`;
  }

  return (reference) => {
    const colon = reference.indexOf(":");
    const name = reference.slice(colon + 1);
    if (reference.slice(0, colon) === "env") {
      // Own properties only: env:constructor must not find what every object inherits.
      const holder = [environment, dotEnv].find((names) => Object.hasOwn(names, name));
      const secret = holder?.[name];
      const remedy = `put ${name}=… into ${dotEnvPath}${unreadable}, or into the environment`;
      if (secret === undefined) return { problem: `${reference} is not set: ${remedy}` };
      return secretOrEmpty(reference, secret, remedy);
    }
    const path = pathOf(name, inboxFolder, environment["CREDENTIALS_DIRECTORY"]);
    try {
      // Editors and `echo` end a file with a line break that is not part of the secret.
      const secret = readTextFile(path).replace(/\r?\n$/, "");
      return secretOrEmpty(reference, secret, `put the secret into ${path}`);
    } catch (error) {
      return { problem: `${reference} cannot be read: ${messageOf(error)}` };
    }
  };
}

function secretOrEmpty(reference: string, secret: string, remedy: string): ReturnType<SecretLookup> {
  // Blanks alone can be guessed as easily as nothing.
  if (secret.trim() !== "") return { secret };
  return { problem: `${reference} is empty, and nothing can be verified with an empty value: ${remedy}` };
}

/** Returns the variables in the inbox folder's `.env`, or none if the file does not exist. */
export function readDotEnv(inboxFolder: string): Environment {
  const path = join(inboxFolder, ".env");
  if (!existsSync(path)) return {};
  // Loaded only here: without a .env file a start is 4 ms faster.
  const { parseEnv } = process.getBuiltinModule("node:util");
  return parseEnv(readTextFile(path));
}

const DOT_ENV_LINE =
  /^[ \t]*(?:export[ \t]+)?(?<name>[\w.-]+)[ \t]*[=:](?:[ \t]*(?<quoted>"[^"]*"|'[^']*'|`[^`]*`)(?<behind>[^\n]*)|(?<unquoted>[^\n]*))/gm;

/** A value in a `.env` that is probably not what its writer meant. */
export interface DotEnvMistake {
  readonly name: string;
  /** Counted from 1. */
  readonly line: number;
  /**
   * - `cut`: it ends at a `#`, which begins a comment without quotes. After a blank that is probably meant, and
   *   elsewhere it has cut a secret.
   * - `unclosed`: it begins with a quotation mark, and the line does not end with one. The mark is then part of the
   *   value, or the lines up to the next mark are.
   * - `repeated`: the name comes again. The last value counts.
   */
  readonly what: "cut" | "unclosed" | "repeated";
}

export function mistakesIn(dotEnv: string): DotEnvMistake[] {
  const seen = new Set<string>();
  return Array.from(dotEnv.matchAll(DOT_ENV_LINE)).flatMap(({ index, groups = {} }) => {
    const { name = "", quoted = "", behind = "", unquoted = "" } = groups;
    const isRepeated = seen.has(name);
    // `add` writes the name without a value, and users add the line with the value below.
    const isEmpty = /^(?:["'`]{2})?$/.test(quoted) && /^\s*(?:#.*)?$/s.test(unquoted);
    if (!isEmpty) seen.add(name);
    const isUnclosed = /^\s*["'`]/.test(unquoted) || (quoted.includes("\n") && !/^\s*(?:#|$)/.test(behind));
    const what: (DotEnvMistake["what"] | false)[] = [
      isUnclosed ? "unclosed" : /(?:^|\S)#/.test(unquoted) && "cut",
      isRepeated && "repeated",
    ];
    const line = dotEnv.slice(0, index).split("\n").length;
    return what.filter((one) => one !== false).map((one) => ({ name, line, what: one }));
  });
}

function pathOf(name: string, inboxFolder: string, credentials: string | undefined): string {
  if (isAbsolute(name)) return name;
  const credential = credentials === undefined ? undefined : join(credentials, name);
  return credential !== undefined && existsSync(credential) ? credential : join(inboxFolder, name);
}
