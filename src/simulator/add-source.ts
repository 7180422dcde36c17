import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseEnv } from "node:util";
import { writtenLocation } from "../config/location.ts";
import { CONFIG_FILE, envName } from "../config/load.ts";
import { literal } from "../config/literal.ts";
import { DEFAULT_LISTEN, rawSources, SOURCE_NAME, tableOf } from "../config/schema.ts";
import { readTextFile } from "../config/text-file.ts";
import { readToml, TomlError } from "../config/toml.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { keyOf } from "../handlers/find.ts";
import { isOnlyScheme, type Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import { learnsSecret } from "../providers/source.ts";
import { coversUrl } from "../providers/verifier.ts";
import { newConfig, planCommand, type CommandPlan, type RunOptions } from "./add-command.ts";
import type { Example } from "./example.ts";
import { starterHandler } from "./starter-handler.ts";
import { scriptIn, starterScript, writeScript } from "./starter-script.ts";

export interface AddOptions {
  readonly folder: string;
  readonly provider: Provider;
  readonly example: Example;
  /** Event types to handle. If empty, those of the example. */
  readonly types: readonly string[];
  readonly name: string;
  /** Writes a starter handler for each type. */
  readonly handlers: boolean;
  /** A command to run for its events. */
  readonly run?: RunOptions | undefined;
  /** The URL that the provider will deliver to. If absent, a placeholder is written. */
  readonly publicUrl?: string | undefined;
}

export interface Added {
  /** Relative to the folder. */
  readonly written: readonly string[];
  /** Handlers and scripts that existed already. */
  readonly kept: readonly string[];
  /** Whether the source existed already, so that only handlers and a command were added. */
  readonly existed: boolean;
  readonly types: readonly string[];
  /** The handler files of these types, whether or not they exist. */
  readonly files: readonly string[];
  /** Names in .env that still need a value. */
  readonly wanted: readonly string[];
  /** The name that is commented out in .env, because the provider sends the secret only later. */
  readonly wantedLater: string | undefined;
  /** Keys in hookonce.toml whose values depend on the sender, and are only guessed. */
  readonly guessed: readonly string[];
  /** Whether `public_url` in hookonce.toml is a placeholder. */
  readonly needsPublicUrl: boolean;
  /** The script that was written for the command. */
  readonly script: string | undefined;
  /** `host:port` that the folder listens on. */
  readonly listen: string;
}

/**
 * Adds a source to an inbox folder: appends it to the config, and adds the names of its secrets and, if
 * asked, starter handlers and a command. Changes no file that exists, except that a source of this provider that
 * exists gets the command in its `forward`.
 *
 * @throws HookonceError `config_invalid` before anything is written; `storage_failed` if the folder cannot be
 * written to
 */
export function addSource(options: AddOptions): Added {
  const { folder, provider, example, name, handlers } = options;
  const types = options.types.length === 0 ? example.types : [...new Set(options.types)];
  for (const type of types) checkType(type);
  const config = readConfig(options);
  const plan = options.run === undefined ? undefined : planCommand(config.value, name, options.run);
  const source = sourceText(options, plan);
  const text = newConfig(config, source.text, name, plan);

  const dialect =
    writtenLocation(folder, tableOf(config.value)["database"])?.kind === "postgres" ? "postgres" : "sqlite";
  const starters = types.map((type) => starterHandler(provider, example, name, type, dialect));
  const script = plan === undefined ? undefined : scriptIn(folder, options.run?.command ?? []);
  const written: string[] = [];
  const kept: string[] = [];
  const isHandled = (file: string): boolean =>
    existsSync(join(folder, file)) || existsSync(join(folder, file.replace(/\.sql$/, ".ts")));
  try {
    for (const { file, text, test } of handlers ? starters : []) {
      if (isHandled(file)) kept.push(file);
      else {
        for (const one of [{ file, text }, test].filter((wanted) => !existsSync(join(folder, wanted.file)))) {
          mkdirSync(dirname(join(folder, one.file)), { recursive: true });
          writeFileSync(join(folder, one.file), one.text, { flag: "wx" });
          written.push(one.file);
        }
      }
    }
    if (script !== undefined && plan !== undefined) {
      const what = options.types.length === 0 ? "each event" : types.join(", ");
      const isNew = writeScript(join(folder, script), starterScript(plan.destination, what));
      (isNew ? written : kept).push(script);
    }
    if (!config.existed) {
      // For the handlers that the user writes next.
      for (const { file } of plan === undefined || handlers ? starters : [])
        mkdirSync(dirname(join(folder, file)), { recursive: true });
      if (addToEnv(folder, source, provider)) written.push(".env");
    }
    // The config is written last, because hookonce uses the other files only once the source exists.
    if (text !== config.text) {
      if (text.startsWith(config.text))
        appendFileSync(join(folder, CONFIG_FILE), text.slice(config.text.length));
      else replaceFile(join(folder, CONFIG_FILE), text);
      written.unshift(CONFIG_FILE);
    }
  } catch (error) {
    throw new HookonceError("storage_failed", `Cannot write to the inbox folder: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const has = envOf(folder);
  return {
    written,
    kept,
    existed: config.existed,
    types,
    files: starters.map(({ file }) => file),
    wanted: source.names.filter((one) => (has[one] ?? "") === ""),
    wantedLater: source.later,
    guessed: source.guessed,
    needsPublicUrl: coversUrl(provider.scheme) && options.publicUrl === undefined,
    script: written.includes(script ?? "") ? script : undefined,
    listen: config.listen,
  };
}

/** Replaces a file at once, so that a power cut leaves the old one or the new one. */
function replaceFile(path: string, text: string): void {
  const target = realpathSync(path);
  const beside = `${target}.new-${process.pid}`;
  writeFileSync(beside, text, { flag: "wx", mode: statSync(target).mode, flush: true });
  renameSync(beside, target);
}

function refusal(message: string): HookonceError {
  return new HookonceError("config_invalid", message);
}

/**
 * A type becomes part of a path here, so it must not lead out of the folder. A Slack command such as /weather
 * is allowed.
 */
function checkType(type: string): void {
  const parts = (/^\/[^/]+$/.test(type) ? keyOf(type) : type).split("/");
  const outside = parts.some((part) => /^\.*$/.test(part));
  if (type !== "" && (outside || type.length > 200 || /\p{Cc}/u.test(type)))
    throw refusal(
      `The type "${type.replaceAll(/\p{Cc}/gu, "?")}" cannot name a file. Use at most 200 characters, no control characters, and no part that is empty or only dots.`,
    );
}

function readConfig({ folder, name, provider, handlers, run }: AddOptions) {
  const path = join(folder, CONFIG_FILE);
  if (!existsSync(path))
    throw refusal(
      `${path} does not exist. To make an inbox folder: hookonce init ${folder}. If you have one, name it with --folder.`,
    );
  if (!SOURCE_NAME.test(name) || name === "lib") {
    throw refusal(
      `"${name}" cannot name a source: use at most 64 lower-case letters, digits, - and _, and not "lib".`,
    );
  }
  const text = readTextFile(path);
  try {
    const { value } = readToml(text);
    const source = rawSources(value).find(([one]) => one === name);
    const adds = handlers || run !== undefined;
    if (source !== undefined && !(adds && tableOf(source[1])["provider"] === provider.name)) {
      throw refusal(
        `The source "${name}" exists already, and was not changed. Choose another name: --name ${name}-2. To add starter handlers to it: --handlers. To run a command for its events: --run`,
      );
    }
    const { listen } = tableOf(value);
    const address = typeof listen === "string" ? listen : DEFAULT_LISTEN;
    return { text, value, listen: address, existed: source !== undefined };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new HookonceError("config_invalid", `${path} is not valid TOML.`, {
      problems: [{ file: CONFIG_FILE, line: error.line, message: error.message }],
    });
  }
}

interface SourceText {
  /** The table for hookonce.toml. */
  readonly text: string;
  /** Names in .env that need a value. */
  readonly names: readonly string[];
  /** The name of a secret that the provider sends later. */
  readonly later: string | undefined;
  readonly guessed: readonly string[];
}

function sourceText({ provider, name, publicUrl }: AddOptions, plan: CommandPlan | undefined): SourceText {
  const { scheme, handshakes = [], thinPing } = provider;
  const secret = envName(name);
  const token = secret.replace(/WEBHOOK_SECRET$/, "VERIFY_TOKEN");
  const names: string[] = [];
  const lines = [`[sources.${name}]`, `provider = "${provider.name}"`];
  const later = learnsSecret(provider) ? secret : undefined;
  if (later !== undefined) {
    lines.push(
      `# secret = "env:${secret}"   # ${provider.title} sends it: see hookonce verify --last; then remove the first #`,
    );
  } else if (kindOf(scheme).needsSecret) {
    names.push(secret);
    lines.push(`secret = "env:${secret}"`);
  } else if (thinPing === true) {
    lines.push(
      `allow_public = true # ${provider.title} does not sign: treat a delivery as a hint, and ask its API`,
    );
  }
  if (handshakes.some(({ when }) => when.some(({ isVerifyToken }) => isVerifyToken === true))) {
    names.push(token);
    lines.push(`verify_token = "env:${token}" # choose one, and enter it at the provider, too`);
  }
  if (coversUrl(scheme)) {
    const url = publicUrl ?? `https://your.host/webhook/${name}`;
    lines.push(`public_url = "${url}" # exactly as you enter it at the provider: the signature covers it`);
  }
  const { event_id: _id, type: _type, ...others } = provider.needs ?? {};
  const onlyScheme = isOnlyScheme(provider);
  for (const example of Object.values(others)) {
    const why = onlyScheme
      ? "as your sender does it"
      : `${provider.title} signs nothing, so it sends your secret`;
    lines.push(`${example.replace('/NAME"', `/${name}"`)} # ${why}`);
  }
  if (onlyScheme) {
    lines.push(`event_id = ${JSON.stringify(provider.eventId)}`, `type = ${JSON.stringify(provider.type)}`);
  }
  if (plan !== undefined) lines.push(`forward = ${literal(plan.forward)}`);
  const guessed = onlyScheme ? [...Object.keys(others), "event_id", "type"] : [];
  return { text: `${lines.join("\n")}\n`, names, later, guessed };
}

function envOf(folder: string): NodeJS.Dict<string> {
  const path = join(folder, ".env");
  return existsSync(path) ? parseEnv(readTextFile(path)) : {};
}

/** @returns whether anything was written; a name that exists is left unchanged */
function addToEnv(folder: string, { names, later }: SourceText, provider: Provider): boolean {
  const path = join(folder, ".env");
  const has = envOf(folder);
  const missing = [...names, ...(later === undefined ? [] : [later])].filter(
    (name) => !Object.hasOwn(has, name),
  );
  if (missing.length === 0) return false;
  const lines = missing.map((name) => {
    const what = name.endsWith("_VERIFY_TOKEN")
      ? "the verify token, which you choose"
      : (provider.secretIs ?? "the signing secret");
    return `# ${provider.title}: ${what}\n${name === later ? "# " : ""}${name}=\n`;
  });
  const before = lstatSync(path, { throwIfNoEntry: false }) === undefined ? "" : readFileSync(path, "utf8");
  // The mode applies only to a new file; an existing one keeps its own.
  appendFileSync(path, `${before === "" || before.endsWith("\n") ? "" : "\n"}${lines.join("")}`, {
    mode: 0o600,
  });
  return true;
}
