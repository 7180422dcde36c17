import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";

/** What hookonce listens on in the README. */
const UPSTREAM = /127\.0\.0\.1:8787/g;

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** What it has printed, for a failed test. */
  output(): string;
}

/** A loopback port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/**
 * Runs nginx with these `server` blocks in a separate folder. Only addresses and the certificate's paths
 * differ from what is given.
 *
 * @param upstream the port that hookonce listens on
 * @param certificate PEM files, if the server speaks TLS
 */
export async function startNginx(
  folder: string,
  servers: string,
  upstream: number,
  certificate?: { certificate: string; key: string },
): Promise<Proxy> {
  const port = await freePort();
  mkdirSync(join(folder, "nginx"), { recursive: true });
  const text = servers
    .replaceAll(UPSTREAM, `127.0.0.1:${upstream}`)
    .replace(/listen \d+/, `listen 127.0.0.1:${port}`)
    .replace(/(ssl_certificate +)\S+;/, `$1${certificate?.certificate};`)
    .replace(/(ssl_certificate_key +)\S+;/, `$1${certificate?.key};`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/nginx/${name};`,
  );
  const config = join(folder, "nginx", "nginx.conf");
  // As root, nginx's workers would be another user, who cannot enter a test's folder.
  const user = process.getuid?.() === 0 ? "user root;" : "";
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/nginx/pid; error_log stderr; ${user}
events {}
http { access_log off; ${temporary.join(" ")}
${text}
}
`,
  );
  return start(port, ["nginx", "-p", join(folder, "nginx"), "-c", config], folder);
}

/** Runs Caddy with this site, over HTTPS with a certificate that it makes itself. */
export async function startCaddy(folder: string, site: string, upstream: number): Promise<Proxy> {
  const port = await freePort();
  const options = `{
	admin off
	https_port ${port}
	http_port ${await freePort()}
	default_bind 127.0.0.1
	local_certs
	skip_install_trust
	auto_https disable_redirects
	storage file_system ${folder}/caddy
}
`;
  const config = join(folder, "Caddyfile");
  writeFileSync(config, options + site.replaceAll(UPSTREAM, `127.0.0.1:${upstream}`));
  const command = ["caddy", "run", "--adapter", "caddyfile", "--config", config];
  // It listens before it has made its certificate.
  return start(port, command, folder, () => speaksTls(port, /^\S+/.exec(site)?.[0] ?? "localhost"));
}

/** A TCP tunnel, as `ssh -R` and its like make one. */
export async function startSocat(folder: string, upstream: number): Promise<Proxy> {
  const port = await freePort();
  return start(
    port,
    ["socat", `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, `TCP:127.0.0.1:${upstream}`],
    folder,
  );
}

async function start(
  port: number,
  command: string[],
  folder: string,
  ready = () => accepts(port),
): Promise<Proxy> {
  const child = Bun.spawn(command, {
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let printed = "";
  const keep = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) printed += new TextDecoder().decode(chunk);
  };
  const read = Promise.all([keep(child.stdout), keep(child.stderr)]);
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    // A process that it forked may keep the pipes open until its connection ends.
    await Promise.race([read, Bun.sleep(100)]);
  };
  const until = performance.now() + 10_000;
  while (!(await ready())) {
    if (child.exitCode === null && performance.now() < until) {
      await Bun.sleep(50);
      continue;
    }
    await stop();
    throw new Error(`${command[0]} does not listen on port ${port}: ${printed}`);
  }
  return { port, output: () => printed, [Symbol.asyncDispose]: stop };
}

async function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => resolve(true));
  socket.on("error", () => resolve(false));
  const accepted = await promise;
  socket.destroy();
  return accepted;
}

async function speaksTls(port: number, host: string): Promise<boolean> {
  const tls = { rejectUnauthorized: false, serverName: host };
  return fetch(`https://127.0.0.1:${port}/`, { headers: { host }, tls }).then(
    () => true,
    () => false,
  );
}
