import type { Headers } from "../event.ts";
import type { Problem } from "../errors.ts";
import { contradictionsOf, forwardProblems, sumProblem, type KeyProblem } from "./destination-checks.ts";
import { readDestination, type DestinationTable } from "./destination-schema.ts";
import { rawSources, SOURCE_NAME, tableOf } from "./schema.ts";
import { CONFIG_FILE, problemsUnder } from "./schema-problems.ts";
import type { SecretLookup } from "./secrets.ts";
import type { Table } from "./source-checks.ts";
import type { TomlDocument } from "./toml.ts";

interface DestinationCommon {
  readonly name: string;
  /** How many messages may be under way at a time. */
  readonly concurrency: number;
  /** Messages per second; undefined for no limit. */
  readonly rate: number | undefined;
  readonly timeoutMs: number;
  readonly retryForMs: number;
  /**
   * The line of one of its keys in hookonce.toml, for problems that are found later. If the key is missing,
   * the line of the table where it would be.
   */
  readonly lineOf: (...keys: readonly PropertyKey[]) => number | undefined;
}

/** A destination as the config has it, with its secrets looked up and its defaults. */
export type ConfiguredDestination = DestinationCommon &
  (
    | {
        readonly kind: "url";
        /** The path and the query may contain `{source}` and `{body:…}`. */
        readonly url: string;
        readonly sign: "provider" | "standard-webhooks" | "none";
        /** Only for `standard-webhooks`. Undefined if secrets were not looked up. */
        readonly secret: string | undefined;
        /** Lower-case names. Without those whose value is a reference, if secrets were not looked up. */
        readonly headers: Headers;
        /** The references to its secrets, such as `env:APP_TOKEN`. */
        readonly secretNames: readonly string[];
        /** What was found for them. */
        readonly secrets: readonly string[];
      }
    | {
        readonly kind: "command";
        /** The file, then its arguments. */
        readonly command: readonly string[];
        /** What happens to a running command when hookonce stops. */
        readonly onStop: "kill" | "wait";
      }
  );

const SECONDS = 1000;
const DEFAULTS = {
  url: { concurrency: 4, timeoutMs: 15 * SECONDS },
  command: { concurrency: 1, timeoutMs: 600 * SECONDS },
  retryForMs: 3 * 86_400 * SECONDS,
};

const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const NOT_A_NAME =
  "is not the name of a destination: write at most 64 lower-case letters, digits, - and _, as for sources";

/**
 * Reads the tables `[destinations.NAME]`, looks up their secrets, and checks `forward` of every source against
 * them. Reads each table by itself, so that a mistake in one does not hide a mistake in another.
 *
 * @param lookUp null if no secret is to be looked up
 */
export function readDestinations(
  document: TomlDocument,
  lookUp: SecretLookup | null,
): { destinations: ConfiguredDestination[]; problems: Problem[] } {
  const destinations: ConfiguredDestination[] = [];
  const problems: Problem[] = [];
  const sources = rawSources(document.value);
  const written = Object.entries(tableOf(tableOf(document.value)["destinations"]));
  for (const [name, value] of written) {
    const path = ["destinations", name];
    const lineOf = (...keys: readonly PropertyKey[]): number | undefined =>
      document.lineOf([...path, ...keys]);
    const report = ({ keys, text }: KeyProblem): void => {
      const message = `${[...path, ...keys].join(".")}${/^(?:is|has) /.test(text) ? " " : ": "}${text}`;
      problems.push({ file: CONFIG_FILE, line: lineOf(...keys), message });
    };
    const before = problems.length;
    if (!SOURCE_NAME.test(name)) report({ keys: [], text: NOT_A_NAME });
    if (sources.some(([source]) => source === name))
      report({ keys: [], text: "is the name of a source, too: choose another name for the destination" });
    if (!isTable(value)) {
      report({ keys: [], text: `is not a table: write [destinations.${name}], and below it url or command` });
      continue;
    }
    const table = readDestination(value);
    problems.push(...problemsUnder(path, table, document));
    const secrets = lookUpAll(table.data, lookUp);
    for (const problem of [...contradictionsOf(name, value), ...secrets.problems]) report(problem);
    if (table.data !== undefined && problems.length === before)
      destinations.push(destinationOf({ name, lineOf }, table.data, secrets));
  }
  const tooMany = sumProblem(destinations);
  if (tooMany !== undefined) {
    const line = document.lineOf(["destinations"]);
    problems.push({ file: CONFIG_FILE, line, message: `destinations: ${tooMany}` });
  }
  for (const [source, table] of sources) {
    for (const { keys, text } of forwardProblems(tableOf(table)["forward"], new Map(written))) {
      const line = document.lineOf(["sources", source, "forward", ...keys]);
      problems.push({ file: CONFIG_FILE, line, message: `sources.${source}.forward: ${text}` });
    }
  }
  return { destinations, problems };
}

interface LookedUp {
  readonly secret: string | undefined;
  readonly headers: Headers;
  readonly names: readonly string[];
  readonly found: readonly string[];
  readonly problems: readonly KeyProblem[];
}

/** Looks up what a destination names as `env:NAME` or `file:path`. */
function lookUpAll(table: DestinationTable | undefined, lookUp: SecretLookup | null): LookedUp {
  const problems: KeyProblem[] = [];
  const names: string[] = [];
  const values: string[] = [];
  const find = (keys: readonly string[], reference: string): string | undefined => {
    names.push(reference);
    const found = lookUp?.(reference);
    if (found === undefined) return undefined;
    if ("secret" in found) {
      values.push(found.secret);
      return found.secret;
    }
    problems.push({ keys, text: found.problem });
    return undefined;
  };
  const secret = table?.secret === undefined ? undefined : find(["secret"], table.secret);
  const headers: Record<string, string> = {};
  for (const [name, text] of Object.entries(table?.headers ?? {})) {
    const value = isReference(text) ? find(["headers", name], text) : text;
    if (value === undefined) continue;
    headers[name] = value;
    // Only visible characters and blanks. A value with a line break could not be sent.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      problems.push({
        keys: ["headers", name],
        text: "the value has a character that no header may contain, such as a line break: remove it",
      });
  }
  return { secret, headers, names, found: values, problems };
}

const isReference = (text: string): boolean => /^(?:env|file):./.test(text);

function destinationOf(
  place: Pick<DestinationCommon, "name" | "lineOf">,
  table: DestinationTable,
  { secret, headers, names, found }: LookedUp,
): ConfiguredDestination {
  const { url, command = [], sign = "provider", on_stop: onStop = "kill" } = table;
  const defaults = url === undefined ? DEFAULTS.command : DEFAULTS.url;
  const common = {
    ...place,
    concurrency: table.concurrency ?? defaults.concurrency,
    rate: table.rate,
    timeoutMs: table.timeout ?? defaults.timeoutMs,
    retryForMs: table.retry_for ?? DEFAULTS.retryForMs,
  };
  if (url === undefined) return { kind: "command", ...common, command, onStop };
  return { kind: "url", ...common, url, sign, secret, headers, secretNames: names, secrets: found };
}
