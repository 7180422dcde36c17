import { nearest } from "./nearest.ts";
import type { SecretLookup } from "./secrets.ts";

export type Table = Readonly<Record<string, unknown>>;

/** What the config must know about a provider. */
export interface SecretNeeds {
  /** `never`: there is none. `later`: the provider sends its secret once it has the URL. */
  readonly secret: "always" | "later" | "never";
  readonly isSigned?: boolean;
  /** The secret is a public key, which the config may contain. */
  readonly isPublicKey?: boolean;
  /** Other names that users give it. */
  readonly aliases: readonly string[];
}

export interface CheckedSource {
  readonly problems: readonly SourceProblem[];
  readonly secrets: readonly string[];
  readonly verifyToken: string | undefined;
  /** Whether every secret that the source needs was found. */
  readonly hasSecrets: boolean;
}

export interface SourceProblem {
  /** Undefined for the source itself. */
  readonly key: string | undefined;
  /** What follows the key in the message. */
  readonly text: string;
  /** The key whose line is reported, if it is not the line of the source. */
  readonly at: string | undefined;
}

/**
 * Looks up the secrets of a source, and checks what the schema cannot see: its provider, and its relation to
 * the other sources. Reads the source as it is written, so that a mistake in one line does not hide a mistake
 * in another.
 *
 * @param all the sources by name, this one included
 */
export function checkSource(
  name: string,
  all: Readonly<Record<string, Table>>,
  providers: ReadonlyMap<string, SecretNeeds>,
  lookUp: SecretLookup,
): CheckedSource {
  const { provider, secret, verify_token: verifyToken } = all[name] ?? {};
  const problems: SourceProblem[] = [];
  const problem = (key: string | undefined, text: string, at = key): void => {
    problems.push({ key, text, at });
  };
  const needs = typeof provider === "string" ? providers.get(provider) : undefined;
  if (typeof provider === "string" && needs === undefined) {
    const remedy = nearest(provider, providers, "to list all providers: hookonce providers");
    problem("provider", `: "${provider}" is not a provider; ${remedy}`);
  }
  let hasSecrets = true;
  const publicKeys = needs?.isPublicKey === true ? [publicKeyOf(all[name])].flat() : [];
  if (needs?.secret === "always" && secret === undefined && publicKeys.length === 0) {
    hasSecrets = false;
    const env = `write secret = "env:${envName(name)}" and put ${envName(name)}=… into .env`;
    const remedy =
      needs.isPublicKey === true ? `${env}, or write public_key = "file:path" in signature` : env;
    problem("secret", ` is missing: ${remedy}`, "provider");
  }
  if (secret !== undefined && publicKeys.length > 0)
    problem("secret", ": signature.public_key already has the provider's key; remove one of them");
  if (needs?.secret === "never" && secret !== undefined) {
    const why =
      needs.isSigned === true
        ? "the keys are fetched from signature.jwks_url, so no secret is checked; remove it"
        : "deliveries to this source are not signed, so no secret is checked; remove it, or name the provider that signs";
    problem("secret", `: ${why}`);
  }
  for (const [key, text] of contradictionsOf(name, all)) problem(key, `: ${text}`);
  const lookUpAll = (key: string, references: readonly string[]): string[] =>
    references.flatMap((reference) => {
      const found = lookUp(reference);
      if ("secret" in found) return [found.secret];
      hasSecrets = false;
      problem(key, `: ${found.problem}`);
      return [];
    });
  const secrets = [
    ...lookUpAll("secret", referencesIn(secret)),
    ...lookUpAll("signature.public_key", referencesIn(publicKeys)),
    ...publicKeys.filter((one) => typeof one === "string" && one.includes("-----BEGIN ")),
  ] as string[];
  const [token] = lookUpAll("verify_token", referencesIn(verifyToken));
  return { problems, secrets, verifyToken: token, hasSecrets };
}

/** The value of `signature.public_key`; an empty list if there is none. */
function publicKeyOf(source: Table | undefined): unknown {
  const signature = source?.["signature"];
  const isTable = typeof signature === "object" && signature !== null && "public_key" in signature;
  return isTable ? signature.public_key : [];
}

/** The references that can be looked up. The schema reports the others. */
function referencesIn(value: unknown): string[] {
  return [value]
    .flat()
    .filter((one): one is string => typeof one === "string" && /^(?:env|file):./.test(one));
}

/** Returns what is wrong with a source because of its name or because of the other sources. */
function contradictionsOf(
  name: string,
  all: Readonly<Record<string, Table>>,
): [key: string | undefined, text: string][] {
  const found: [string | undefined, string][] = [];
  if (name === "lib") {
    const why = "handlers/lib is for code that handlers share";
    found.push([undefined, `a source cannot be named lib, because ${why}; choose another name`]);
  }
  const { handlers, renamed_from: renamedFrom } = all[name] ?? {};
  if (typeof handlers === "string" && !Object.hasOwn(all, handlers)) {
    const remedy = nearest(handlers, Object.keys(all));
    found.push(["handlers", `there is no source "${handlers}" whose handlers could be shared; ${remedy}`]);
  } else if (typeof handlers === "string" && typeof all[handlers]?.["handlers"] === "string") {
    const other = all[handlers]["handlers"];
    found.push(["handlers", `"${handlers}" itself shares the handlers of "${other}"; name that source`]);
  }
  if (typeof renamedFrom !== "string") return found;
  if (Object.hasOwn(all, renamedFrom)) {
    const why = "renamed_from must be a name that no source has now";
    found.push(["renamed_from", `"${renamedFrom}" is a source in this file; ${why}`]);
  }
  const first = Object.keys(all).find((one) => all[one]?.["renamed_from"] === renamedFrom);
  if (first !== undefined && first !== name) {
    const why = "only one source can take over its events";
    found.push(["renamed_from", `"${first}" already has renamed_from = "${renamedFrom}"; ${why}`]);
  }
  return found;
}

/** The name that a source's secret has in `.env` unless the user chooses another. */
export function envName(source: string): string {
  return `${source.toUpperCase().replaceAll("-", "_")}_WEBHOOK_SECRET`;
}
