import { isAbsolute, join } from "node:path";
import { messageOf } from "../errors.ts";
import { besideOf, isReference, type PostgresLocation } from "./location.ts";
import { readPostgresUrl, type PostgresServer, type PostgresUrl, type SslMode } from "./postgres-url.ts";
import type { SecretLookup } from "./secrets.ts";
import { readTextFile } from "./text-file.ts";

export type { SslMode } from "./postgres-url.ts";

/** Where to connect. Secrets were looked up. */
export interface PostgresTarget {
  /** For messages, without a password. */
  readonly name: string;
  /** The path beside which this node keeps its own files. */
  readonly beside: string;
  /** One of them is the primary. */
  readonly servers: readonly PostgresServer[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly tls: {
    readonly mode: SslMode;
    /** PEM. Undefined: those of the system. */
    readonly rootCertificates: string | undefined;
  };
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly prepare: boolean;
}

export interface ReadTarget {
  /** Null if there are problems, or secrets that were not looked up. */
  readonly target: PostgresTarget | null;
  /** With the place in the list of URLs. None repeats a secret. */
  readonly problems: readonly { readonly index: number; readonly message: string }[];
  /** What the URLs refer to, such as `env:NAME`. */
  readonly references: readonly string[];
}

/**
 * Reads the URLs of a location, and reports every problem at once.
 *
 * @param lookUp null if nothing will be connected, because a command reaches `serve` without it
 */
export function readTarget(location: PostgresLocation, lookUp: SecretLookup | null): ReadTarget {
  const problems: { index: number; message: string }[] = [];
  const references: string[] = [];
  /** @returns undefined if it is not looked up, or there is a problem */
  const secretOf = (index: number, reference: string): string | undefined => {
    references.push(reference);
    const looked = lookUp?.(reference);
    if (looked === undefined) return undefined;
    if ("secret" in looked) return looked.secret;
    problems.push({ index, message: looked.problem });
    return undefined;
  };
  const urls: PostgresUrl[] = [];
  for (const [index, written] of location.urls.entries()) {
    const isSecret = isReference(written);
    const text = isSecret ? secretOf(index, written) : written;
    if (text === undefined) continue;
    const read = readPostgresUrl(text, isSecret);
    if ("servers" in read) urls.push(read);
    else
      problems.push(
        ...read.map((message) => ({ index, message: `${isSecret ? written : "the URL"} ${message}` })),
      );
  }
  const [first, ...others] = urls;
  if (first === undefined) return { target: null, problems, references };
  for (const [index, other] of others.entries()) {
    const differing = SHARED.find((key) => other[key] !== first[key]);
    if (differing !== undefined)
      problems.push({
        index: index + 1,
        message: `the URLs differ in ${WORDS[differing]}, and they must name the same database: only the host and the port may differ`,
      });
  }
  const { passwordReference: reference } = first;
  const password = reference === "" ? first.password : secretOf(0, reference);
  const rootCertificates =
    lookUp === null
      ? undefined
      : certificatesIn(first.rootCertificates, location.folder, (message) =>
          problems.push({ index: 0, message }),
        );
  if (lookUp === null || problems.length > 0) return { target: null, problems, references };
  const servers = urls.flatMap((one) => one.servers);
  return {
    target: {
      name: nameOfTarget(first, servers),
      beside: besideOf(location),
      servers,
      user: first.user,
      password: password === "" ? undefined : password,
      database: location.scratch?.database ?? first.database,
      tls: { mode: first.sslMode, rootCertificates },
      applicationName: first.applicationName,
      connectTimeoutMs: first.connectTimeoutMs,
      prepare: first.prepare,
    },
    problems,
    references,
  };
}

/** What the URLs of a list have in common. */
const SHARED = [
  "user",
  "database",
  "password",
  "passwordReference",
  "sslMode",
  "rootCertificates",
  "applicationName",
  "connectTimeoutMs",
  "prepare",
] as const;

const WORDS: Record<(typeof SHARED)[number], string> = {
  user: "the user",
  database: "the database",
  password: "the password",
  passwordReference: "the password",
  sslMode: "sslmode",
  rootCertificates: "sslrootcert",
  applicationName: "application_name",
  connectTimeoutMs: "connect_timeout",
  prepare: "prepare",
};

function certificatesIn(
  path: string,
  folder: string,
  onProblem: (message: string) => void,
): string | undefined {
  if (path === "") return undefined;
  const file = isAbsolute(path) ? path : join(folder, path);
  try {
    const text = readTextFile(file);
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
    onProblem(`sslrootcert ${file} contains no certificate: write the path of a PEM file`);
  } catch (error) {
    onProblem(`sslrootcert ${file} cannot be read: ${messageOf(error)}`);
  }
  return undefined;
}

function nameOfTarget({ user, database }: PostgresUrl, servers: readonly PostgresServer[]): string {
  const hosts = servers.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`);
  return `postgres://${user}@${hosts.join(",")}/${database}`;
}
