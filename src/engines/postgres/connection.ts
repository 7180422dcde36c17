import { SQL, type TLSOptions } from "bun";
import type { PostgresTarget, SslMode } from "../../config/postgres.ts";
import { stateOf } from "./trouble.ts";
import { wireOf, type Wire } from "./wire.ts";

/** Settings of each session. Handlers are read and run under them. */
const SESSION = {
  // The lexer of handlers (sql-text.ts) reads texts as this setting does, which is the default.
  standard_conforming_strings: "on",
  client_min_messages: "warning",
} as const;

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
export async function connectTo(target: PostgresTarget, server: Server): Promise<Connection> {
  const { mode } = target.tls;
  // TLS is for networks only.
  if (isSocket(server)) return open(target, server, "disable");
  if (mode !== "allow") return open(target, server, mode);
  try {
    return await open(target, server, "disable");
  } catch (error) {
    // As libpq does: "allow" tries TLS if the server refuses a connection without it.
    if (stateOf(error) !== "28000") throw error;
    return open(target, server, "require");
  }
}

const isSocket = ({ host }: Server): boolean => host.startsWith("/");

type Mode = Exclude<SslMode, "allow">;

async function open(target: PostgresTarget, server: Server, mode: Mode): Promise<Connection> {
  let isOpen = true;
  const { user, password, database, applicationName, connectTimeoutMs } = target;
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
    connection: { ...SESSION, application_name: applicationName },
    max: 1,
    // A connection is closed by us, or by the server.
    idleTimeout: 0,
    maxLifetime: 0,
    connectionTimeout: connectTimeoutMs / 1000,
    bigint: true,
    onclose: () => {
      isOpen = false;
    },
  });
  try {
    const wire = wireOf(await client.reserve());
    return {
      ...wire,
      isOpen: () => isOpen,
      async drop() {
        isOpen = false;
        await wire.drop().catch(() => {});
        await client.close({ timeout: 0 });
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
