import {
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Reason } from "../crash/requirements.ts";
import { commandAs, freePort, ownerOf, postgresPrograms } from "../engines/postgres/cluster.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/**
 * Three PostgreSQL servers under Patroni with etcd, and haproxy in front, from Debian's packages, on loopback. One
 * standby is synchronous.
 */

const PROGRAMS = {
  patroni: "/usr/bin/patroni",
  etcd: "/usr/bin/etcd",
  haproxy: "/usr/sbin/haproxy",
} as const;

/** Why there can be none here. */
export function needsPatroni(): Reason {
  const missing = Object.values(PROGRAMS).filter((path) => !existsSync(path));
  if (missing.length === 0 && postgresPrograms() !== undefined) return undefined;
  return "needs a Debian system with: apt-get install postgresql patroni etcd-server haproxy";
}

export interface PatroniCluster extends AsyncDisposable {
  readonly folder: string;
  /** Where haproxy accepts connections to the primary. */
  readonly port: number;
  /** The ports of the three servers. */
  readonly serverPorts: readonly number[];
  /** Kills Patroni and PostgreSQL of the primary with `kill -9`, as if its machine were gone. Returns its name. */
  killLeader(): Promise<string>;
  restart(name: string): void;
  /** Waits until there is a primary, each other server follows it, and one of them is synchronous. */
  whole(): Promise<void>;
}

interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly lag?: number | string;
}

const NAMES = ["one", "two", "three"] as const;

/** The shortest that Patroni accepts, in seconds. */
const TTL_S = 20;

export async function createPatroni(): Promise<PatroniCluster> {
  const bin = postgresPrograms();
  if (bin === undefined) throw new Error("no PostgreSQL server is installed");
  const folder = temporaryFolder("patroni", 512);
  const owner = ownerOf();
  const own = (path: string): void => {
    if (owner !== undefined) chownSync(path, owner, owner);
  };
  own(folder);
  const ports = Array.from({ length: 9 }, freePort);
  const [etcdPort = 0, peerPort = 0, port = 0] = ports;
  const nodes = NAMES.map((name, index) => ({
    name,
    port: ports[3 + index] ?? 0,
    restPort: ports[6 + index] ?? 0,
    data: join(folder, name),
    config: join(folder, `${name}.yml`),
  }));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    own(path);
    return path;
  };
  const pids = join(folder, "pids");
  mkdirSync(pids);
  const running = new Map<string, Bun.Subprocess>();
  const start = (name: string, command: string[]): void => {
    const log = Bun.file(join(folder, `${name}.log`));
    const child = Bun.spawn(commandAs(owner, command), {
      cwd: folder,
      stdout: log,
      stderr: log,
      stdin: "ignore",
    });
    writeFileSync(join(pids, name), String(child.pid));
    running.set(name, child);
  };
  const end = async (name: string): Promise<void> => {
    running.get(name)?.kill("SIGKILL");
    await running.get(name)?.exited;
  };

  endWithThisProcess(folder, pids);
  const etcd = {
    "data-dir": join(folder, "etcd-data"),
    name: "etcd",
    "listen-client-urls": `http://127.0.0.1:${etcdPort}`,
    "advertise-client-urls": `http://127.0.0.1:${etcdPort}`,
    "listen-peer-urls": `http://127.0.0.1:${peerPort}`,
    "initial-advertise-peer-urls": `http://127.0.0.1:${peerPort}`,
    "initial-cluster": `etcd=http://127.0.0.1:${peerPort}`,
  };
  start("etcd", [PROGRAMS.etcd, ...Object.entries(etcd).flatMap(([name, value]) => [`--${name}`, value])]);
  for (const { name, port: serverPort, restPort, data, config } of nodes) {
    // YAML reads JSON.
    const settings = {
      scope: "hookonce",
      name,
      restapi: { listen: `127.0.0.1:${restPort}`, connect_address: `127.0.0.1:${restPort}` },
      etcd3: { host: `127.0.0.1:${etcdPort}` },
      bootstrap: {
        dcs: {
          ttl: TTL_S,
          loop_wait: 1,
          retry_timeout: 3,
          synchronous_mode: true,
          // A primary that has crashed is not waited for.
          primary_start_timeout: 0,
          postgresql: { use_pg_rewind: true, parameters: { max_connections: 100, shared_buffers: "16MB" } },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C.UTF-8" }, "data-checksums"],
        pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
      },
      postgresql: {
        listen: `127.0.0.1:${serverPort}`,
        connect_address: `127.0.0.1:${serverPort}`,
        data_dir: data,
        pgpass: join(folder, `${name}.pgpass`),
        bin_dir: bin,
        authentication: { superuser: { username: "postgres" }, replication: { username: "postgres" } },
        parameters: { unix_socket_directories: folder },
      },
    };
    write(`${name}.yml`, JSON.stringify(settings));
    start(name, [PROGRAMS.patroni, config]);
  }
  const servers = nodes.map(
    ({ name, port: serverPort, restPort }) =>
      `  server ${name} 127.0.0.1:${serverPort} check port ${restPort}`,
  );
  // As Patroni's documentation has it: https://patroni.readthedocs.io/en/latest/rest_api.html
  write(
    "haproxy.cfg",
    `defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 1s
listen primary
  bind 127.0.0.1:${port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join("\n")}
`,
  );
  start("haproxy", [PROGRAMS.haproxy, "-db", "-f", join(folder, "haproxy.cfg")]);

  /** As the first of the nodes that answers has it. */
  async function members(): Promise<readonly Member[]> {
    for (const { restPort } of nodes) {
      try {
        const signal = AbortSignal.timeout(2000);
        // oxlint-disable-next-line no-await-in-loop -- one after another
        const response = await fetch(`http://127.0.0.1:${restPort}/cluster`, { signal });
        // oxlint-disable-next-line no-await-in-loop
        return ((await response.json()) as { members?: Member[] }).members ?? [];
      } catch {
        // It is killed, or starts.
      }
    }
    return [];
  }

  return {
    folder,
    port,
    serverPorts: nodes.map((node) => node.port),
    async whole() {
      const until = performance.now() + 300_000;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- until it is so
        const found = await members();
        const count = (role: string, ...states: string[]): number =>
          found.filter((one) => one.role === role && states.includes(one.state)).length;
        const standbys =
          count("replica", "running", "streaming") + count("sync_standby", "running", "streaming");
        if (
          count("leader", "running") === 1 &&
          standbys === 2 &&
          count("sync_standby", "running", "streaming") === 1
        )
          return;
        if (performance.now() > until)
          throw new Error(`Patroni does not come up: ${JSON.stringify(found)}\n${logsOf(folder)}`);
        // oxlint-disable-next-line no-await-in-loop
        await Bun.sleep(200);
      }
    },
    async killLeader() {
      const leader = (await members()).find(({ role }) => role === "leader");
      const node = nodes.find(({ name }) => name === leader?.name);
      if (node === undefined) throw new Error("there is no primary");
      const ended = end(node.name);
      killServer(node.data);
      await ended;
      return node.name;
    },
    restart(name) {
      const node = nodes.find((one) => one.name === name);
      if (node !== undefined) start(name, [PROGRAMS.patroni, node.config]);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running.keys()].map(end));
      for (const { data } of nodes) killServer(data);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** All processes of a server. Those without their postmaster would go on for a moment. */
function killServer(data: string): void {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, "utf8").split("\n", 1)[0]);
  for (const one of [pid, ...childrenOf(pid)]) {
    try {
      process.kill(one, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        // The name of the program in the second field may contain anything.
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      } catch {
        return false;
      }
    });
}

/** The last lines of each program. */
function logsOf(folder: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .map((name) => `${name}:\n${readFileSync(join(folder, name), "utf8").split("\n").slice(-15).join("\n")}`)
    .join("\n");
}

/** As in cluster.ts: a shell in a session of its own ends everything when this process has ended, also with kill -9. */
function endWithThisProcess(folder: string, pids: string): void {
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  openSync(pipe, "r+");
  // Patroni first: it would start PostgreSQL again.
  const keeper = `cat <&3 >/dev/null
for file in '${pids}'/*; do kill -9 "$(cat "$file")"; done
for file in '${folder}'/*/postmaster.pid; do kill -9 "$(head -1 "$file")"; done
sleep 1; rm -rf '${folder}'`;
  Bun.spawnSync([
    "sh",
    "-c",
    'exec 3<"$2"; setsid sh -c "$1" </dev/null >/dev/null 2>&1 &',
    "sh",
    keeper,
    pipe,
  ]);
}
