import { setDefaultTimeout } from "bun:test";
import { appendFileSync, chownSync, existsSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectTo, type Connection } from "../../../src/engines/postgres/connection.ts";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import { folderInMemory, folderOnDisk } from "../../support/temporary-folder.ts";

/**
 * A PostgreSQL server of Debian's packages, in a temporary folder. It refuses to run as root, so a test that runs as
 * root gives it to `postgres` or `nobody`.
 */

/** The programs of the newest installed version; undefined if there is none. */
export function postgresPrograms(): string | undefined {
  const versions = "/usr/lib/postgresql";
  const found = existsSync(versions) ? readdirSync(versions).sort((a, b) => Number(b) - Number(a)) : [];
  return found
    .map((version) => join(versions, version, "bin"))
    .find((bin) => existsSync(join(bin, "initdb")));
}

/** How long `initdb` and a start may take on a machine that does other things as well. */
export const STARTS_WITHIN_MS = 120_000;

// The first test of a process starts the server, and each makes databases.
setDefaultTimeout(STARTS_WITHIN_MS);

export interface Cluster extends AsyncDisposable {
  /** Over the Unix socket, which accepts everybody. */
  readonly target: PostgresTarget;
  readonly folder: string;
  /** The database's folder. */
  readonly data: string;
  /** Makes an empty database, or a copy of another one. */
  database(template?: string): Promise<PostgresTarget>;
  start(): Promise<void>;
  /** @param mode as `pg_ctl stop -m` has it; "immediate" is a crash */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** Makes a standby the primary. */
  promote(): Promise<void>;
}

export interface ClusterOptions {
  /** Follows this one. */
  readonly standbyOf?: Cluster;
  /** Where a sync takes its time. By default in memory, if there is room. */
  readonly onDisk?: boolean;
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[];
  /** Replaces pg_hba.conf. */
  readonly access?: readonly string[];
  /** Files in the folder of the database, readable by the server only. */
  readonly files?: Readonly<Record<string, string>>;
}

export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const bin = postgresPrograms();
  if (bin === undefined) throw new Error("no PostgreSQL server is installed");
  // Its syncs are not what is tested, and on a disk they take most of the time.
  const folder = options.onDisk === true ? folderOnDisk("postgres") : folderInMemory("postgres", 128);
  const owner = ownerOf();
  if (owner !== undefined) chownSync(folder, owner, owner);
  const data = join(folder, "data");
  const port = freePort();
  const run = (program: string, ...args: string[]): Promise<void> =>
    runAs(owner, [join(bin, program), ...args], folder);

  if (options.standbyOf !== undefined) await run("pg_basebackup", ...copyOf(options.standbyOf), "-D", data);
  else
    await run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-N");
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    if (owner !== undefined) chownSync(join(data, name), owner, owner);
  }
  if (options.access !== undefined)
    writeFileSync(join(data, "pg_hba.conf"), options.access.join("\n") + "\n");
  const settings = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `unix_socket_directories = '${folder}'`,
    "max_connections = 100",
    "shared_buffers = 16MB",
    "min_wal_size = 32MB",
    "max_wal_size = 64MB",
    ...(options.settings ?? []),
  ];
  appendFileSync(join(data, "postgresql.conf"), settings.join("\n") + "\n");

  const target: PostgresTarget = { ...targetOn(port, folder), beside: join(folder, "node") };
  let databases = 0;
  const cluster: Cluster = {
    target,
    folder,
    data,
    async database(template = "template1") {
      const name = `test_${++databases}`;
      const connection = await connect(target);
      await connection.script(`create database ${name} template ${template}`);
      await connection.drop();
      return { ...target, database: name, beside: join(folder, name) };
    },
    start: () => run("pg_ctl", "-D", data, "-l", join(folder, "log"), "-w", "start"),
    promote: () => run("pg_ctl", "-D", data, "-w", "promote"),
    stop: (mode = "fast") => run("pg_ctl", "-D", data, "-m", mode, "-w", "stop"),
    async [Symbol.asyncDispose]() {
      if (existsSync(join(data, "postmaster.pid"))) await cluster.stop("immediate");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  endWithThisProcess(owner, [join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop"], folder);
  await cluster.start();
  return cluster;
}

/** A server that accepts everybody. */
export const targetOn = (port: number, host = "127.0.0.1"): PostgresTarget => ({
  name: `postgres://postgres@${host}:${port}/postgres`,
  beside: join(host, "node"),
  servers: [{ host, port }],
  user: "postgres",
  password: undefined,
  database: "postgres",
  tls: { mode: "disable", rootCertificates: undefined },
  applicationName: "hookonce",
  connectTimeoutMs: 10_000,
  prepare: true,
});

/** What pg_basebackup needs to make a standby of a server. */
function copyOf({ target: { servers, user } }: Cluster): string[] {
  const [{ host, port } = { host: "", port: 0 }] = servers;
  return ["-h", host, "-p", String(port), "-U", user, "-X", "stream", "-c", "fast", "--write-recovery-conf"];
}

/** The same server over TCP. */
export const overNetwork = (target: PostgresTarget, host = "127.0.0.1"): PostgresTarget => ({
  ...target,
  servers: target.servers.map(({ port }) => ({ host, port })),
});

/** Connects to the first server. */
export function connect(target: PostgresTarget): Promise<Connection> {
  const [first] = target.servers;
  if (first === undefined) throw new Error("the target names no server");
  return connectTo(target, first);
}

let shared: Promise<Cluster> | undefined;

/** One server for all tests of a process, stopped at its end. */
export function sharedCluster(): Promise<Cluster> {
  shared ??= createCluster();
  return shared;
}

/**
 * Stops a server and removes its folder when this process ends, also with `kill -9`: then nobody writes to the pipe
 * any more that a shell reads from. bun test runs no handler of "exit", and ends its children and their groups, so
 * the shell is in a session of its own.
 */
function endWithThisProcess(owner: number | undefined, stop: string[], folder: string): void {
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  // It stays open as long as this process lives.
  openSync(pipe, "r+");
  const keeper = `cat <&3 >/dev/null; ${quoted(commandAs(owner, stop))}; rm -rf '${folder}'`;
  const start = 'exec 3<"$2"; setsid sh -c "$1" </dev/null >/dev/null 2>&1 &';
  Bun.spawnSync(["sh", "-c", start, "sh", keeper, pipe]);
}

const quoted = (command: string[]): string => command.map((word) => `'${word}'`).join(" ");

/** The user that runs the server; undefined if it is the user of this process. */
export function ownerOf(): number | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const { exitCode, stdout } = Bun.spawnSync(["id", "-u", name]);
    if (exitCode === 0) return Number(stdout.toString());
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}

export function commandAs(owner: number | undefined, command: string[]): string[] {
  if (owner === undefined) return command;
  return ["setpriv", "--reuid", String(owner), "--regid", String(owner), "--clear-groups", ...command];
}

async function runAs(owner: number | undefined, command: string[], cwd: string): Promise<void> {
  // pg_ctl's server keeps what it inherits open, so pipes would never end.
  const log = join(cwd, "programs.log");
  const { exited } = Bun.spawn(commandAs(owner, command), {
    cwd,
    stdout: Bun.file(log),
    stderr: Bun.file(log),
  });
  const code = await exited;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${await Bun.file(log).text()}`);
}

export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
