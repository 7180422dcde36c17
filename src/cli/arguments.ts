import { CommanderError, InvalidArgumentError } from "commander";
import { ADDRESS } from "../config/address.ts";
import { parseDuration } from "../config/duration.ts";
import { readTime } from "../config/instant.ts";
import { nearest } from "../config/nearest.ts";
import { parsePath } from "../providers/body/path.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";

/** Parsers of arguments and options. Each throws an error that commander prints as a usage error. */

/** @returns Unix milliseconds */
export function moment(value: string): number {
  const ms = readTime(value);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError("Write a time such as 2026-01-31T12:00:00Z, or Unix seconds.");
}

/** @returns Unix milliseconds */
export function momentOrAgo(value: string): number {
  const ago = parseDuration(value);
  if (ago !== undefined) return Date.now() - ago;
  try {
    return moment(value);
  } catch {
    throw new InvalidArgumentError(
      "Write a time such as 2026-01-31T12:00:00Z, Unix seconds, or how long ago, such as 2h.",
    );
  }
}

export function ids(id: string, before: readonly string[] = []): string[] {
  if (id !== "") return [...before, id];
  throw new InvalidArgumentError("Write an event id, or leave out all ids.");
}

export function nonEmpty(value: string): string {
  if (value !== "") return value;
  throw new InvalidArgumentError("Write a value, or leave out the option.");
}

/** A program and its arguments, with blanks between them. */
export function commandLine(value: string): string[] {
  const words = value.trim().split(/\s+/);
  if (words[0] !== "" && !/["'`\\$|&;<>*?~(){}#]/.test(value)) return words;
  throw new InvalidArgumentError(
    "Write a program and its arguments, as in --run ./deploy.sh. No shell runs it, so put anything else into a script.",
  );
}

const SCOPES = ["read", "steer", "forget"] as const;

/** A list of scopes, as in `read,steer`. */
export function scopes(value: string): (typeof SCOPES)[number][] {
  const given = value.split(",").map((one) => one.trim());
  const known = SCOPES.filter((scope) => given.includes(scope));
  if (known.length === new Set(given).size) return known;
  throw new InvalidArgumentError("Write read, steer and forget, with commas between them, as in read,steer.");
}

/** Paths into a payload, with commas between them. */
export function paths(value: string, before: readonly string[] = []): string[] {
  const given = value.split(/,(?=body:)/).map((one) => one.trim());
  if (given.every((one) => one.startsWith("body:") && parsePath(one.slice("body:".length)) !== undefined))
    return [...before, ...given];
  throw new InvalidArgumentError("Write a path such as body:$.data.object.email.");
}

/** @returns milliseconds */
export function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms > 0) return ms;
  if (ms === 0) throw new InvalidArgumentError("It must be longer than 0, as in 90d.");
  throw new InvalidArgumentError("Write a whole number with s, m, h or d, as in 90d.");
}

export function address(value: string): string {
  if (ADDRESS.test(value)) return value;
  throw new InvalidArgumentError("Write host:port, such as 127.0.0.1:8787.");
}

export function providerNamed(name: string): Provider {
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  const others = "for the list, run hookonce providers.";
  throw new InvalidArgumentError(`Unknown provider; ${nearest(name, providers, others)}`);
}

export function types(type: string, before: readonly string[] = []): string[] {
  if (type.trim() !== "") return [...before, type];
  throw new InvalidArgumentError(
    "Write an event type such as invoice.paid, or leave out all types to get the usual ones.",
  );
}

export function webUrl(value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new InvalidArgumentError("Write a full URL that starts with https:// or http://.");
}

/** A reference to a secret: `env:NAME` or `file:PATH`. */
export function reference(value: string): string {
  if (/^(?:env|file):./.test(value)) return value;
  // Commander's own message would repeat the value, and a secret must not be shown again.
  throw new CommanderError(2, LITERAL_SECRET, LITERAL_SECRET_TEXT);
}

/** The code of an error that commander has not printed. */
export const LITERAL_SECRET = "hookonce.literalSecret";

const LITERAL_SECRET_TEXT =
  "error: a secret on the command line ends up in the shell's history and in process lists: write env:NAME or file:PATH instead";

export function count(value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("Write a whole number from 1 to 999999.");
}
