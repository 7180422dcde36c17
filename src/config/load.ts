import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { parseAddress } from "./address.ts";
import {
  rawSources,
  readConfigFile,
  readSource,
  tableOf,
  type ConfigFile,
  type SourceConfig,
} from "./schema.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_FILE, problemsOf, problemsOfMisnamed } from "./schema-problems.ts";
import { createSecretLookup, type Environment } from "./secrets.ts";
import { readToml, TomlError, type TomlDocument } from "./toml.ts";

/** A source as the config has it, its secrets looked up. */
export interface ConfiguredSource extends Omit<SourceConfig, "secret" | "verify_token"> {
  readonly name: string;
  readonly secrets: readonly string[];
  readonly verifyToken: string | undefined;
  /** Where it stands in hookonce.toml, for problems that come out later. */
  readonly line: number | undefined;
}

export interface Config {
  readonly inboxFolder: string;
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Absolute. */
  readonly database: string;
  readonly convertToWal: boolean;
  readonly sources: readonly ConfiguredSource[];
}

export { CONFIG_FILE };

/** What a source's provider asks of its config. */
export interface SecretNeeds {
  /** `never`: it checks none. `later`: the provider tells it once it delivers. */
  readonly secret: "always" | "later" | "never";
  /** What else its users call it. */
  readonly aliases: readonly string[];
}

/** `hookonce.toml` as far as it can be read. */
export interface ReadConfig {
  /** Null when there are problems. */
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  /** The sources that are whole, each by itself, so that more can be said of them. */
  readonly sources: readonly ConfiguredSource[];
  /** Every source as it is written, whatever is wrong with it, so that its paths can be checked as well. */
  readonly written: readonly [name: string, source: Readonly<Record<string, unknown>>][];
  /** The line of a source's key, counted from 1; of the table that holds the key if it has no line. */
  readonly lineOf: (source: string, ...keys: readonly string[]) => number | undefined;
}

/**
 * Reads `hookonce.toml` and the secrets it names.
 *
 * @param providers the names that `provider` may have, and what each needs
 * @throws HookonceError `config_invalid` with everything that is wrong, each with its line
 */
export function loadConfig(
  inboxFolder: string,
  providers: ReadonlyMap<string, SecretNeeds>,
  environment: Environment,
): Config {
  const { config, problems } = readConfig(inboxFolder, providers, environment);
  if (config !== null) return config;
  throw new HookonceError("config_invalid", `${join(inboxFolder, CONFIG_FILE)} cannot be used.`, {
    problems,
  });
}

/**
 * The same, past what is wrong.
 *
 * @throws HookonceError `config_invalid` when there is no such file, or it is not TOML
 */
export function readConfig(
  inboxFolder: string,
  providers: ReadonlyMap<string, SecretNeeds>,
  environment: Environment,
): ReadConfig {
  const path = join(inboxFolder, CONFIG_FILE);
  if (!existsSync(path)) {
    throw new HookonceError(
      "config_invalid",
      `${path} is not there. To make an inbox folder: hookonce init ${inboxFolder}`,
    );
  }
  const document = parse(path);
  const parsed = readConfigFile(document.value);
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, document));
  problems.push(...problemsOfMisnamed(document));
  const withoutSecret = new Set<string>();
  const secrets = new Map<string, string[]>();
  const verifyTokens = new Map<string, string | undefined>();
  const lookUp = createSecretLookup(inboxFolder, environment);
  const named = namedSources(document.value);
  for (const [name, source] of Object.entries(named)) {
    const problem = (key: string, message: string, at = key): void => {
      const line = document.lineOf(["sources", name, at].filter((part) => part !== ""));
      const field = key === "" ? "" : `.${key}`;
      problems.push({ file: CONFIG_FILE, line, message: `sources.${name}${field}${message}` });
    };
    const { provider } = source;
    const needs = provider === undefined ? undefined : providers.get(provider);
    if (provider !== undefined && needs === undefined) {
      const others = "hookonce providers lists those there are";
      problem("provider", `: there is no "${provider}"; ${nearest(provider, providers, others)}`);
    }
    if (needs?.secret === "always" && !source.namesSecret) {
      withoutSecret.add(name);
      problem(
        "secret",
        ` is missing: write secret = "env:${envName(name)}" and put ${envName(name)}=… into .env`,
        "provider",
      );
    }
    if (needs?.secret === "never" && source.namesSecret) {
      problem("secret", ": an unsigned source checks no secret; name the provider that signs, or drop it");
    }
    for (const [key, message] of contradictionsOf(name, named)) problem(key, `: ${message}`);
    const lookUpAll = (key: string, references: readonly string[]): string[] => {
      const found: string[] = [];
      for (const reference of references) {
        const looked = lookUp(reference);
        if ("secret" in looked) found.push(looked.secret);
        else {
          withoutSecret.add(name);
          problem(key, `: ${looked.problem}`);
        }
      }
      return found;
    };
    secrets.set(name, lookUpAll("secret", source.secrets));
    verifyTokens.set(name, lookUpAll("verify_token", source.verifyTokens)[0]);
  }
  const sources = rawSources(document.value).flatMap(([name, value]): ConfiguredSource[] => {
    const source = parsed.success ? parsed.data.sources[name] : readSource(value).data;
    if (source === undefined || withoutSecret.has(name)) return [];
    const { secret: _references, verify_token: _reference, ...rest } = source;
    return [
      {
        ...rest,
        name,
        secrets: secrets.get(name) ?? [],
        verifyToken: verifyTokens.get(name),
        line: document.lineOf(["sources", name]),
      },
    ];
  });
  return {
    config: parsed.success && problems.length === 0 ? configOf(inboxFolder, parsed.data, sources) : null,
    problems: inOrder(problems),
    sources,
    written: rawSources(document.value).map(([name, source]) => [name, tableOf(source)]),
    lineOf: (source, ...keys) => document.lineOf(["sources", source, ...keys]),
  };
}

function configOf(
  inboxFolder: string,
  { listen, database, convert_to_wal: convertToWal }: ConfigFile,
  sources: readonly ConfiguredSource[],
): Config {
  return {
    inboxFolder,
    listen: parseAddress(listen),
    database: isAbsolute(database) ? database : join(inboxFolder, database),
    convertToWal,
    sources,
  };
}

function parse(path: string): TomlDocument {
  try {
    return readToml(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof TomlError)) {
      throw new HookonceError("config_invalid", `${path} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw new HookonceError("config_invalid", `${path} is not TOML.`, {
      problems: [{ file: CONFIG_FILE, line: error.line, message: error.message }],
    });
  }
}

interface NamedSource {
  readonly provider: string | undefined;
  readonly namesSecret: boolean;
  /** References that can be looked up. */
  readonly secrets: readonly string[];
  readonly verifyTokens: readonly string[];
  readonly renamedFrom: string | undefined;
  readonly handlers: string | undefined;
}

/** The sources as far as they can be read, so that what is wrong with one line does not hide what is wrong with another. */
function namedSources(value: unknown): Record<string, NamedSource> {
  return Object.fromEntries(
    rawSources(value).map(([name, source]) => {
      const { provider, secret, verify_token: token, renamed_from: renamedFrom, handlers } = tableOf(source);
      return [
        name,
        {
          provider: textOf(provider),
          namesSecret: secret !== undefined,
          secrets: referencesIn(secret),
          verifyTokens: referencesIn(token),
          renamedFrom: textOf(renamedFrom),
          handlers: textOf(handlers),
        },
      ];
    }),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function referencesIn(value: unknown): string[] {
  return [value]
    .flat()
    .filter((one): one is string => typeof one === "string" && /^(?:env|file):./.test(one));
}

/** What each source may say by itself, but not beside the others: a key (empty: the source itself) and why. */
function contradictionsOf(
  name: string,
  sources: Readonly<Record<string, NamedSource>>,
): [key: string, message: string][] {
  const found: [string, string][] = [];
  if (name === "lib")
    found.push(["", "lib is no name for a source: handlers/lib is for code that handlers share"]);
  const handlers = sources[name]?.handlers;
  if (handlers !== undefined && !Object.hasOwn(sources, handlers)) {
    found.push([
      "handlers",
      `there is no source "${handlers}" whose handlers it could share; ${nearest(handlers, Object.keys(sources))}`,
    ]);
  } else if (handlers !== undefined && sources[handlers]?.handlers !== undefined) {
    found.push(["handlers", `"${handlers}" has no handlers of its own either: name the source that has`]);
  }
  const renamedFrom = sources[name]?.renamedFrom;
  if (renamedFrom === undefined) return found;
  if (Object.hasOwn(sources, renamedFrom)) {
    found.push([
      "renamed_from",
      `"${renamedFrom}" is a source in this file; renamed_from is a name that no source has any more`,
    ]);
  }
  const other = Object.keys(sources).find((one) => sources[one]?.renamedFrom === renamedFrom);
  if (other !== name) {
    found.push(["renamed_from", `${other ?? "another source"} already has renamed_from = "${renamedFrom}"`]);
  }
  return found;
}

export function envName(source: string): string {
  return `${source.toUpperCase().replaceAll("-", "_")}_WEBHOOK_SECRET`;
}

/** In the order of the file. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}
