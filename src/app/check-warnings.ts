import { statSync } from "node:fs";
import { join } from "node:path";
import { formatDuration } from "../config/duration.ts";
import { CONFIG_FILE, envName, type ConfiguredSource } from "../config/load.ts";
import type { Retention } from "../config/retention-schema.ts";
import { mistakesIn, type DotEnvMistake } from "../config/secrets.ts";
import { readTextFile } from "../config/text-file.ts";
import type { Handlers } from "../engines/engine.ts";
import type { OwedCount } from "../engines/reader.ts";
import type { HandlerDuration } from "../engines/store.ts";
import type { Problem } from "../errors.ts";
import { pathsOf } from "../http/paths.ts";
import { isProtected } from "../providers/dedup-window.ts";
import { settingsOf } from "./sources.ts";
import { providers } from "../providers/presets.ts";
import { kindOf } from "../providers/schemes.ts";
import { learnsSecret, type Source } from "../providers/source.ts";

/** Warns of secrets that other users can read, and of values that are not what they seem. */
export function warnOfDotEnv(inboxFolder: string): Problem[] {
  const file = ".env";
  const path = join(inboxFolder, file);
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  const warnings: Problem[] = [];
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    warnings.push({ file, message: "other users of this machine can read it: run chmod 600 .env" });
  for (const { name, line, what } of mistakes(path))
    warnings.push({ file, line, message: DOT_ENV_TEXTS[what](name) });
  return warnings;
}

const DOT_ENV_TEXTS: Readonly<Record<DotEnvMistake["what"], (name: string) => string>> = {
  cut: (name) =>
    `the value of ${name} ends at the #, because it is not in quotes. Write ${name}="…", or put a space before the # of a comment`,
  unclosed: (name) =>
    `the quotation mark before the value of ${name} is not closed, so the value includes the mark or the next lines. Close it at the end of the line`,
  repeated: (name) => `${name} is set a second time, and this value is used. Remove one of the lines`,
};

function mistakes(path: string): DotEnvMistake[] {
  try {
    return mistakesIn(readTextFile(path));
  } catch {
    return []; // the look-up of a secret reports it
  }
}

/** Warns of sources that cannot verify anything yet, because their provider sends its secret later. */
export function warnOfNoSecrets(
  configured: readonly ConfiguredSource[],
  sources: ReadonlyMap<string, Source>,
): Problem[] {
  return configured.flatMap(({ name, secrets, secretNames, lineOf }) => {
    const source = sources.get(name);
    if (source === undefined || secrets.length + secretNames.length > 0 || !learnsSecret(source.provider))
      return [];
    const { title } = source.provider;
    const message = `sources.${name}: it has no secret yet, so every delivery is refused. Enter its URL at ${title}, and ${title} sends the secret, which hookonce verify --last shows. Put it into .env, set secret = "env:${envName(name)}", and run hookonce reload`;
    return [{ file: CONFIG_FILE, line: lineOf(), message }];
  });
}

/** The values that examples have in hookonce.toml, in .env and in the README. */
export const PLACEHOLDER = /…|\.\.\.$|^<[^>]*>$|^(?:change[-_ ]?me|your[-_ ].*)$/i;

export const STILL_AN_EXAMPLE = "its value is still the one from an example. Replace it with the real one";

/** Warns of secrets and URLs that nobody has filled in yet. Never shows a secret. */
export function warnOfPlaceholders(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap(({ name, secrets, verifyToken = "", signature, lineOf, ...source }) => {
    const { jwks_url: keys = "", issuer = "", audience = "" } = signature ?? {};
    const found: [key: string[], isPlaceholder: boolean][] = [
      [["secret"], secrets.some((secret) => PLACEHOLDER.test(secret))],
      [["verify_token"], PLACEHOLDER.test(verifyToken)],
      [["public_url"], isExample(source.public_url ?? "")],
      [["signature", "jwks_url"], isExample(keys)],
      [["signature", "issuer"], [issuer].flat().some(isExample)],
      [["signature", "audience"], [audience].flat().some((one) => one.endsWith("/webhook/NAME"))],
    ];
    return found
      .filter(([, isPlaceholder]) => isPlaceholder)
      .map(([key]) => ({
        file: CONFIG_FILE,
        line: lineOf(...key),
        message: `sources.${name}.${key.join(".")}: ${STILL_AN_EXAMPLE}`,
      }));
  });
}

/** https://www.rfc-editor.org/rfc/rfc2606: no real host ends in .example. */
export function isExample(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? "";
  return host === "your.host" || host.endsWith(".example");
}

/** Warns of sources with the same secret. */
export function warnOfSharedSecrets(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap((source, index) => {
    const { name, secrets, lineOf } = source;
    const other = sources
      .slice(0, index)
      .find(
        (one) => one.secrets.some((secret) => secrets.includes(secret)) && proofOf(one) === proofOf(source),
      );
    if (other === undefined) return [];
    const message = `sources.${name}: it has the same secret as sources.${other.name}, so each accepts the other's deliveries. Use two secrets, unless the provider has only one`;
    return [{ file: CONFIG_FILE, line: lineOf("secret"), message }];
  });
}

/** Sources that look for the proof in different places do not accept each other's deliveries. */
function proofOf({ provider, secret_in: secretIn, signature }: ConfiguredSource): string {
  const scheme = providers.get(provider)?.scheme;
  const header = scheme === undefined ? undefined : kindOf(scheme).signatureHeader(scheme)?.header;
  return secretIn ?? `header:${signature?.header ?? header ?? ""}`;
}

/** Warns if the configured path of the type finds nothing in the owed events. */
export function warnOfMissingTypes(
  sources: readonly ConfiguredSource[],
  created: ReadonlyMap<string, Source>,
  owed: readonly OwedCount[],
): Problem[] {
  return sources.flatMap(({ name, lineOf }) => {
    const place = created.get(name)?.typePlace;
    const own = owed.filter(({ source }) => source === name);
    if (place === undefined || own.length === 0 || own.some(({ type }) => type !== "")) return [];
    const message = `sources.${name}.type: the owed events have nothing at ${place}, so they have no type. Correct it if they should have one`;
    return [{ file: CONFIG_FILE, line: lineOf("type"), message }];
  });
}

/** Warns of a `public_url` with a path that hookonce does not answer. */
export function warnOfPublicUrls(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap(({ name, public_url: publicUrl, lineOf }) => {
    const { pathname } = publicUrl === undefined ? {} : (URL.parse(publicUrl) ?? {});
    const paths = pathsOf({ name });
    if (pathname === undefined || paths.includes(pathname.replace(/(?<=.)\/$/, ""))) return [];
    const message = `sources.${name}.public_url: hookonce does not answer ${pathname}, but ${paths.join(" and ")}. Correct it, unless a proxy changes the path`;
    return [{ file: CONFIG_FILE, line: lineOf("public_url"), message }];
  });
}

/** Warns of rules of `newest_wins` whose types have several handlers. */
export function warnOfSharedOrders(
  sources: readonly ConfiguredSource[],
  handlers: Handlers,
  code: readonly { readonly source: string; readonly key: string }[],
): Problem[] {
  return sources.flatMap(({ name, handlers: folder = name, newest_wins: rules = [], lineOf }) => {
    const keys = code.filter(({ source }) => source === folder).map(({ key }) => key);
    return rules.flatMap(({ types }, index) => {
      const found = types
        .flatMap((type) => someTypesOf(type, keys))
        .map((type) => handlers.for(folder, type));
      const [one, other] = new Set(found.flatMap((handler) => handler?.file ?? []));
      if (one === undefined || other === undefined) return [];
      const message = `sources.${name}.newest_wins: one rule covers types of ${one} and of ${other}, so an event for one of them can make an older event for the other stale, and that older event then never runs. Use one handler for these types, or a rule for each`;
      return [{ file: CONFIG_FILE, line: lineOf("newest_wins", index, "types"), message }];
    });
  });
}

/** The type. For a `*`, the types that have their own handler, and one that has none. */
function someTypesOf(pattern: string, keys: readonly string[]): string[] {
  if (!pattern.endsWith("*") || pattern.endsWith("\\*")) return [pattern.replace(/\\\*$/, "*")];
  const start = pattern.slice(0, -1);
  const others = start === "" || start.endsWith(".") ? [`${start}x`] : [start, `${start}.x`];
  return [...keys.filter((key) => key !== "_any" && key.startsWith(start)), ...others];
}

/** Warns if anyone who has seen a delivery can have it applied again after the window. */
export function warnOfOpenWindows(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap((source) => {
    const { name, provider, dedup_window: window, lineOf } = source;
    const preset = providers.get(provider);
    if (window === undefined || preset === undefined) return [];
    const { scheme = preset.scheme } = settingsOf(source, preset, sources);
    if (kindOf(scheme).proof === "none" || isProtected(scheme, window)) return [];
    const why =
      kindOf(scheme).tolerance(scheme) === undefined
        ? "no time is signed"
        : "the tolerance is longer than the window";
    const message = `sources.${name}.dedup_window: ${why}, so anyone who has seen a delivery can have it applied again after the window. Use it only if events may repeat`;
    return [{ file: CONFIG_FILE, line: lineOf("dedup_window"), message }];
  });
}

/** Warns of limits that no event can reach. */
export function warnOfUnusedLimits(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap(({ name, provider, max_failed_answers: max = 0, lineOf }) => {
    const preset = providers.get(provider);
    if (preset === undefined || max === 0 || (preset.retryForMs ?? 0) === 0) return [];
    const message = `sources.${name}.max_failed_answers: ${preset.title} does not retry by itself, so a limit of ${max} has no effect. Remove it: hookonce retries failed events itself (retry_for). Or write max_failed_answers = 0, so that the first delivery is answered 200`;
    return [{ file: CONFIG_FILE, line: lineOf("max_failed_answers"), message }];
  });
}

/** Warns of signatures in the config that leave the body unprotected. */
export function warnOfWeakSignatures(sources: readonly ConfiguredSource[]): Problem[] {
  return sources.flatMap(({ name, signature, lineOf }) => {
    const signed = signature?.signed;
    if (signed === undefined) return [];
    const why = !signed.includes("{body}")
      ? "does not contain {body}, so anyone who has seen a delivery can send it again with another body. Use it only if your sender cannot sign the body"
      : signed.includes("{secret}") && signed.endsWith("{body}")
        ? "is a plain hash that ends with the body, so anyone who has seen a delivery can append bytes to its body. If your sender can sign with HMAC, leave out {secret}"
        : undefined;
    if (why === undefined) return [];
    const message = `sources.${name}.signature.signed: "${signed}" ${why}`;
    return [{ file: CONFIG_FILE, line: lineOf("signature", "signed"), message }];
  });
}

/** Warns if payloads are removed while their provider may still deliver them again. */
export function warnOfShortRetention(
  { payloadsMs }: Retention,
  line: number | undefined,
  sources: ReadonlyMap<string, Source>,
): Problem[] {
  const [longest] = [...sources.values()].sort((a, b) => b.retryWindowMs - a.retryWindowMs);
  if (longest === undefined || payloadsMs === null || longest.retryWindowMs <= payloadsMs) return [];
  const window = formatDuration(longest.retryWindowMs);
  const message = `retention.payloads: ${formatDuration(payloadsMs)} is shorter than the ${window} for which ${longest.provider.title} may deliver an event again (sources.${longest.name}), so the payload of an event may be removed before its last delivery arrives. Write at least "${window}"`;
  return [{ file: CONFIG_FILE, line, message }];
}

/** Providers that wait longer than this are not checked, because handlers take less. In milliseconds. */
const SHORT_DEADLINE = 5000;

/** Warns of handlers that take at least half of the time that the source's provider waits. */
export function warnOfDeadlines(
  sources: ReadonlyMap<string, Source>,
  durations: readonly HandlerDuration[],
): Problem[] {
  return durations.flatMap(({ source, handler, slowestUs }) => {
    const provider = sources.get(source)?.provider;
    const ms = slowestUs / 1000;
    if (provider === undefined || provider.timeoutMs > SHORT_DEADLINE || ms < provider.timeoutMs / 2)
      return [];
    const message = `source "${source}": ${handler} takes ${Math.round(ms)} ms or more for one event in a hundred, and ${provider.title} waits ${provider.timeoutMs / 1000} s for an answer`;
    return [{ message }];
  });
}
