import { nearest } from "./nearest.ts";

/**
 * URLs of PostgreSQL, as libpq reads them: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING.
 * They may name several hosts, and folders of Unix sockets, so `URL` cannot parse them.
 */

/** https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

export type SslMode = (typeof SSL_MODES)[number];

export interface PostgresServer {
  /** A name, an address, or, if it begins with `/`, the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

/** What a URL says. */
export interface PostgresUrl {
  readonly servers: readonly PostgresServer[];
  readonly user: string;
  readonly database: string;
  /** Empty if there is none. */
  readonly password: string;
  /** `env:NAME` or `file:path`; empty if there is none. */
  readonly passwordReference: string;
  readonly sslMode: SslMode;
  /** The path of a file. Empty: the certificates of the system. */
  readonly rootCertificates: string;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** Whether statements are prepared once for each connection. A pooler may give each transaction another one. */
  readonly prepare: boolean;
}

const PARAMETERS = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "application_name",
  "connect_timeout",
  "prepare",
  "target_session_attrs",
  "channel_binding",
] as const;

type Parameter = (typeof PARAMETERS)[number];

const FORM =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?<password>:[^@/?]*)?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/i;

const EXAMPLE = "postgres://app@db.example.com/shop?password=env:DB_PASSWORD";

/** libpq waits for ever, so a start that finds no server would say nothing. */
const CONNECT_TIMEOUT_S = 10;

const DEFAULT_PORT = "5432";

/**
 * Reads a URL. No problem repeats a password.
 *
 * @param isSecret whether the whole URL is a secret, so that it may contain the password
 * @returns the problems, all at once, if there are some
 */
export function readPostgresUrl(url: string, isSecret: boolean): PostgresUrl | readonly string[] {
  const parts = FORM.exec(url)?.groups;
  if (parts === undefined) return [`does not have the form of a PostgreSQL URL: write it as in "${EXAMPLE}"`];
  if (isSplitByPassword(parts))
    return ["has an @, a / or a ? in its user or its password: write %40, %2F or %3F in place of it"];
  const problems: string[] = [];
  const decode = (part: string | undefined, what: string): string => {
    try {
      return decodeURIComponent(part ?? "");
    } catch {
      problems.push(
        `${what} has a % that is not followed by two hexadecimal digits: write %25 for a % itself`,
      );
      return part ?? "";
    }
  };
  const given = parametersOf(parts["query"] ?? "", decode, problems);
  const user = given.get("user") ?? decode(parts["user"], "the user");
  if (user === "") problems.push(`names no user: write it before the host, as in "${EXAMPLE}"`);
  const database = given.get("dbname") ?? decode(parts["database"], "the database");
  if (database === "") problems.push(`names no database: write it behind the host, as in "${EXAMPLE}"`);
  const { password, passwordReference } = passwordIn(
    decode(parts["password"]?.slice(1), "the password"),
    given.get("password") ?? "",
    isSecret,
    problems,
  );
  const hosts = given.get("host") ?? decode(parts["hosts"], "the host");
  const read: PostgresUrl = {
    servers: serversOf(hosts, given.get("port"), problems),
    user,
    database,
    password,
    passwordReference,
    ...protectionOf(given, problems),
    applicationName: given.get("application_name") ?? "hookonce",
    connectTimeoutMs: 1000 * secondsOf(given.get("connect_timeout"), problems),
    prepare: isPrepared(given.get("prepare"), problems),
  };
  refuseOthers(given, problems);
  return problems.length > 0 ? problems : read;
}

/** Whether the rest of a password would be taken for a host, a database or a parameter, which are named in messages. */
function isSplitByPassword({ user, hosts = "", database = "", query = "" }: Record<string, string>): boolean {
  return hosts.includes("@") || (user === undefined && `${database}${query}`.includes("@"));
}

function parametersOf(
  query: string,
  decode: (part: string, what: string) => string,
  problems: string[],
): ReadonlyMap<Parameter, string> {
  const given = new Map<Parameter, string>();
  for (const pair of query.split("&").filter((one) => one !== "")) {
    const [key = "", ...rest] = pair.split("=");
    const name = decode(key, "a parameter");
    const known = PARAMETERS.find((one) => one === name);
    if (known === undefined)
      problems.push(`has an unknown parameter "${name}"; ${nearest(name, PARAMETERS)}`);
    else if (given.has(known)) problems.push(`has the parameter "${name}" twice: write it once`);
    else given.set(known, decode(rest.join("="), `the parameter "${name}"`));
  }
  return given;
}

const NO_PASSWORD =
  'contains the password, and the config must not contain a secret: write ?password=env:NAME in its place and put NAME=… into .env, or write database = "env:NAME" and put the whole URL there';

function passwordIn(
  beforeHost: string,
  parameter: string,
  isSecret: boolean,
  problems: string[],
): Pick<PostgresUrl, "password" | "passwordReference"> {
  const isReference = /^(?:env|file):./.test(parameter);
  const literal = isReference ? beforeHost : parameter || beforeHost;
  if (literal !== "" && !isSecret) problems.push(NO_PASSWORD);
  if (isReference && beforeHost !== "") problems.push("has two passwords: leave one out");
  return { password: literal, passwordReference: isReference ? parameter : "" };
}

/** The default of libpq is `prefer`. A root certificate turns `require` into `verify-ca`, as libpq has it. */
function protectionOf(
  given: ReadonlyMap<Parameter, string>,
  problems: string[],
): Pick<PostgresUrl, "sslMode" | "rootCertificates"> {
  const written = given.get("sslmode") ?? "prefer";
  const mode = SSL_MODES.find((one) => one === written);
  if (mode === undefined)
    problems.push(
      `has the unknown sslmode "${written}": write ${SSL_MODES.slice(0, -1).join(", ")} or verify-full`,
    );
  const root = given.get("sslrootcert") ?? "";
  if (root !== "" && ["disable", "allow", "prefer"].includes(written))
    problems.push(`has sslrootcert, and sslmode=${written} verifies nothing: write sslmode=verify-full`);
  const rootCertificates = root === "system" ? "" : root;
  const isVerified = mode === "require" && rootCertificates !== "";
  return { sslMode: isVerified ? "verify-ca" : (mode ?? "prefer"), rootCertificates };
}

function serversOf(hosts: string, ports: string | undefined, problems: string[]): PostgresServer[] {
  if (hosts === "") {
    problems.push(
      `names no host: write one, as in "${EXAMPLE}", or the folder of a Unix socket, as in "postgres://app@/shop?host=/var/run/postgresql"`,
    );
    return [];
  }
  const names = hosts.split(",");
  const listed = ports?.split(",") ?? [];
  if (listed.length > 1 && listed.length !== names.length)
    problems.push(`names ${listed.length} ports and not as many hosts: write one port, or one for each host`);
  return names.map((text, index) => serverOf(text, listed[index] ?? listed[0] ?? DEFAULT_PORT, problems));
}

function serverOf(text: string, usual: string, problems: string[]): PostgresServer {
  const {
    six,
    name,
    port = usual,
  } = /^(?:\[(?<six>[^\]]*)\]|(?<name>\/.*|[^:]*))(?::(?<port>.*))?$/.exec(text)?.groups ?? {};
  const host = six ?? name ?? "";
  if (host === "") problems.push(`names an empty host: write a name between the commas`);
  const number = /^\d{1,5}$/.test(port || usual) ? Number(port || usual) : 0;
  if (number < 1 || number > 65_535)
    problems.push(`has the port "${port}": write a number from 1 to 65535, as in ${host || "host"}:5432`);
  return { host, port: number };
}

function secondsOf(text: string | undefined, problems: string[]): number {
  if (text === undefined) return CONNECT_TIMEOUT_S;
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds === 0)
    problems.push(`has connect_timeout=${text}: write a number of seconds, as in connect_timeout=10`);
  return seconds;
}

function isPrepared(text: string | undefined, problems: string[]): boolean {
  if (text !== undefined && !["true", "false"].includes(text))
    problems.push(
      `has prepare=${text}: write prepare=false for a pooler in transaction mode, or leave it out`,
    );
  return text !== "false";
}

/** Parameters that other programs need, and that some providers write into every URL. */
function refuseOthers(given: ReadonlyMap<Parameter, string>, problems: string[]): void {
  const attributes = given.get("target_session_attrs");
  if (attributes !== undefined && !["read-write", "primary"].includes(attributes))
    problems.push(
      `has target_session_attrs=${attributes}, and hookonce writes: leave it out. hookonce finds the primary itself`,
    );
  if (given.get("channel_binding") === "require")
    problems.push(
      "has channel_binding=require, which hookonce does not support: leave it out, and write sslmode=verify-full, which proves who the server is",
    );
}
