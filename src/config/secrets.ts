import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { messageOf } from "../errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Looks a reference up: the secret, or what is wrong with it. The message names the reference, never what it leads to. */
export type SecretLookup = (reference: string) => { secret: string } | { problem: string };

/**
 * `env:NAME`: the process environment first, then the inbox folder's `.env`, never the working directory's. `file:path`: absolute,
 * under `$CREDENTIALS_DIRECTORY`, or relative to the inbox folder.
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
      // Own names only: env:constructor is not set, whatever objects inherit.
      const holder = [environment, dotEnv].find((names) => Object.hasOwn(names, name));
      const secret = holder?.[name];
      if (secret === undefined)
        return {
          problem: `${reference} is not set: put ${name}=… into ${dotEnvPath}${unreadable}, or into the environment`,
        };
      return secret === "" ? { problem: `${reference} is empty: anybody could sign with it` } : { secret };
    }
    const path = pathOf(name, inboxFolder, environment["CREDENTIALS_DIRECTORY"]);
    try {
      // Editors and `echo` end a file with a line break that is no part of the secret.
      const secret = readFileSync(path, "utf8").replace(/\r?\n$/, "");
      return secret === "" ? { problem: `${reference} is empty: anybody could sign with it` } : { secret };
    } catch (error) {
      return { problem: `${reference} cannot be read: ${messageOf(error)}` };
    }
  };
}

/** What the inbox folder's `.env` says; nothing where there is none. */
export function readDotEnv(inboxFolder: string): Environment {
  const path = join(inboxFolder, ".env");
  if (!existsSync(path)) return {};
  // Loaded only here: a start without such a file is 4 ms sooner.
  const { parseEnv } = process.getBuiltinModule("node:util");
  return parseEnv(readFileSync(path, "utf8"));
}

function pathOf(name: string, inboxFolder: string, credentials: string | undefined): string {
  if (isAbsolute(name)) return name;
  const credential = credentials === undefined ? undefined : join(credentials, name);
  return credential !== undefined && existsSync(credential) ? credential : join(inboxFolder, name);
}
