import { SQL, type TLSOptions } from "bun";
import type { PostgresTarget, SslMode } from "../../config/postgres.ts";
import { createSilence } from "./silence.ts";
import { stateOf } from "./trouble.ts";
import { wireOf, type Wire } from "./wire.ts";

/** Settings of each session. Handlers are read and run under them. */
const SESSION = {
  // The lexer of handlers (sql-text.ts) reads texts as this setting does, which is the default.
  standard_conforming_strings: "on",
  client_min_messages: "warning",
} as const;

/** Limits of a session. None by default: a migration may take hours. In milliseconds. */
export interface Limits {
  /** The server ends a statement that takes longer. Without it none, also if the role or the database sets a limit. */
  readonly statementMs?: number;
  /** The connection is dropped if the server answers nothing for so long although something is asked. */
  readonly silenceMs?: number;
}

export interface Connection extends Wire {
  /** False once it is closed, by whichever side. */
  readonly isOpen: () => boolean;
}

type Server = PostgresTarget["servers"][number];

/**
 * Opens a connection to one of the servers.
 *
 * @throws PostgresError, or an error of TLS
 */
export async function connectTo(
  target: PostgresTarget,
  server: Server,
  limits: Limits = {},
): Promise<Connection> {
  const { mode } = target.tls;
  // TLS is for networks only.
  if (isSocket(server)) return open(target, server, "disable", limits);
  if (mode !== "allow") return open(target, server, mode, limits);
  try {
    return await open(target, server, "disable", limits);
  } catch (error) {
    // As libpq does: "allow" tries TLS if the server refuses a connection without it.
    if (stateOf(error) !== "28000") throw error;
    return open(target, server, "require", limits);
  }
}

const isSocket = ({ host }: Server): boolean => host.startsWith("/");

type Mode = Exclude<SslMode, "allow">;

async function open(
  target: PostgresTarget,
  server: Server,
  mode: Mode,
  { statementMs, silenceMs }: Limits,
): Promise<Connection> {
  let isOpen = true;
  const { user, password, database, applicationName, connectTimeoutMs, prepare } = target;
  const { host, port } = server;
  const client = new SQL({
    // Without a URL, Bun reads DATABASE_URL and its like from the environment.
    url: `postgres://localhost/?sslmode=${mode}`,
    adapter: "postgres",
    ...(isSocket(server) ? { path: `${host}/.s.PGSQL.${port}` } : { hostname: host, port }),
    username: user,
    password: () => password ?? "",
    database,
    tls: tlsOf(target, host, mode),
    connection: {
      ...SESSION,
      application_name: applicationName,
      statement_timeout: String(statementMs ?? 0),
    },
    max: 1,
    // A connection is closed by us, or by the server.
    idleTimeout: 0,
    maxLifetime: 0,
    connectionTimeout: connectTimeoutMs / 1000,
    bigint: true,
    prepare,
    onclose: () => {
      isOpen = false;
    },
  });
  try {
    const silence = silenceMs === undefined ? undefined : createSilence(silenceMs, () => void drop());
    const wire = wireOf(await client.reserve(), silence);
    const drop = async (): Promise<void> => {
      isOpen = false;
      await wire.drop().catch(() => {});
      await client.close({ timeout: 0 }).catch(() => {});
    };
    return {
      ...wire,
      isOpen: () => isOpen,
      drop,
      abandon(last) {
        isOpen = false;
        silence?.end();
        void last.then(drop, drop);
      },
    };
  } catch (error) {
    await client.close({ timeout: 0 }).catch(() => {});
    throw error;
  }
}

function tlsOf({ tls }: PostgresTarget, host: string, mode: Mode): TLSOptions | undefined {
  // If it is given, Bun takes "prefer" for "require".
  if (mode === "disable" || mode === "prefer") return undefined;
  const isVerified = mode === "verify-ca" || mode === "verify-full";
  return {
    rejectUnauthorized: isVerified,
    ...(isVerified && tls.rootCertificates !== undefined ? { ca: tls.rootCertificates } : {}),
    ...(mode === "verify-full" ? { serverName: host } : {}),
  };
}
