import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * `bun run test:all` installs what is missing, then runs the formatter, the linter, the type check, the build
 * and all tests, including the long ones. It imports only what Bun itself provides, because nothing may be
 * installed yet.
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const bun = process.execPath;

/**
 * Programs and their Debian packages: a C compiler for the power-cut shim, strace for I/O errors, sqlite3 for
 * what a person does to the database, what the README's recipes use, a browser for the page, and PostgreSQL.
 */
const PROGRAMS = {
  cc: ["gcc", "libc6-dev"],
  strace: ["strace"],
  sqlite3: ["sqlite3"],
  nginx: ["nginx"],
  caddy: ["caddy"],
  socat: ["socat"],
  "systemd-analyze": ["systemd"],
  chromium: ["chromium"],
  promtool: ["prometheus"],
  // The server itself is not in the PATH.
  pg_ctlcluster: ["postgresql"],
} as const;

function run(command: string, args: string[], environment: Record<string, string> = {}): number {
  console.log(`\n$ ${[command === bun ? "bun" : command, ...args].join(" ")}`);
  return (
    spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...environment } })
      .status ?? 1
  );
}

function must(command: string, args: string[]): void {
  const status = run(command, args);
  if (status !== 0) process.exit(status);
}

function isDebian(): boolean {
  try {
    return /^ID(?:_LIKE)?=.*debian/m.test(readFileSync("/etc/os-release", "utf8"));
  } catch {
    return false;
  }
}

/** Keeps Debian from starting the services of new packages: nginx would take port 80. */
function forbidServices(): () => void {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return () => {};
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  return () => rmSync(policy);
}

const missing = Object.entries(PROGRAMS)
  .filter(([program]) => Bun.which(program) === null)
  .flatMap(([, packages]) => packages);
if (missing.length > 0 && isDebian() && process.getuid?.() === 0) {
  run("apt-get", ["update", "-qq"]);
  const release = forbidServices();
  // One by one: if a release of Debian lacks one of them, the others are installed.
  for (const name of missing) {
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", name], {
      DEBIAN_FRONTEND: "noninteractive",
    });
  }
  release();
}

must(bun, ["install", "--frozen-lockfile"]);
must(bun, ["run", "check"]);
must(bun, ["run", "build"]);
/** The limit of a test, in milliseconds. Bun's 5 s are too short for a test that starts six processes. */
const LIMIT = "--timeout=60000";
/** They measure milliseconds or time on a processor, so nothing else runs beside them. */
const ALONE = ["test/server/slow-clients.test.ts", "test/providers/work-before-verification.test.ts"];
const all = { HOOKONCE_TEST_ALL: "1", HOOKONCE_TEST_BINARY: `${root}dist/hookonce` };
const others = ALONE.map((file) => `--path-ignore-patterns=${file}`);
const together = run(bun, ["run", "test", ...others], all);
const alone = run(bun, ["test", LIMIT, ...ALONE], all);
process.exit(together === 0 ? alone : together);
