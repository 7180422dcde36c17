import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PostgresTarget, SslMode } from "../../../src/config/postgres.ts";
import { stateOf, troubleOf } from "../../../src/engines/postgres/trouble.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import {
  connect,
  createCluster,
  overNetwork,
  postgresPrograms,
  STARTS_WITHIN_MS,
  type Cluster,
} from "./cluster.ts";

const NOT_VERIFIED: unknown = expect.stringMatching(/^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/);

const folder = temporaryFolder("certificates");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Makes a certificate for a name, signed by an authority. */
function certificate(name: string, authority: string): { certificate: string; key: string } {
  const path = (ending: string): string => join(folder, `${name}.${ending}`);
  writeFileSync(path("ext"), `subjectAltName = ${name === "127.0.0.1" ? "IP" : "DNS"}:${name}\n`);
  openssl(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    path("key"),
    "-out",
    path("csr"),
  );
  const signer = ["-CA", join(folder, `${authority}.crt`), "-CAkey", join(folder, `${authority}.key`)];
  const made = ["-CAcreateserial", "-days", "2", "-extfile", path("ext"), "-out", path("crt")];
  openssl("x509", "-req", "-in", path("csr"), ...signer, ...made);
  return { certificate: path("crt"), key: path("key") };
}

function authority(name: string): string {
  const path = join(folder, `${name}.crt`);
  const subject = ["-subj", `/CN=${name}`, "-addext", "basicConstraints=critical,CA:TRUE"];
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    ...subject,
    "-days",
    "2",
    "-keyout",
    join(folder, `${name}.key`),
    "-out",
    path,
  );
  return path;
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

const isEncrypted = async (target: PostgresTarget): Promise<boolean> => {
  const connection = await connect(target);
  const [row] = await connection.read<{ ssl: boolean }>(
    "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
  );
  await connection.drop();
  return row?.ssl === true;
};

async function errorOf(target: PostgresTarget): Promise<unknown> {
  try {
    await (await connect(target)).drop();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.skipIf(postgresPrograms() === undefined)("a connection", () => {
  describe("to a server with TLS", () => {
    let cluster: Cluster;
    let trusted: string;
    let other: string;
    const at = (mode: SslMode, roots?: string, host?: string): PostgresTarget => ({
      ...overNetwork(cluster.target, host),
      tls: { mode, rootCertificates: roots === undefined ? undefined : readFileSync(roots, "utf8") },
    });
    const secured = { user: "secured", password: "a secret" };

    beforeAll(async () => {
      trusted = authority("authority");
      other = authority("other");
      const made = certificate("127.0.0.1", "authority");
      cluster = await createCluster({
        settings: ["ssl = on"],
        files: {
          "server.crt": await Bun.file(made.certificate).text(),
          "server.key": await Bun.file(made.key).text(),
        },
        access: [
          "local all all trust",
          "hostssl all secured 127.0.0.1/32 scram-sha-256",
          "host all postgres 127.0.0.1/32 trust",
        ],
      });
      const connection = await connect(cluster.target);
      await connection.script("create role secured login password 'a secret'");
      await connection.drop();
    }, STARTS_WITHIN_MS);
    afterAll(() => cluster[Symbol.asyncDispose]());

    test.each([
      ["disable", false],
      ["allow", false],
      ["prefer", true],
      ["require", true],
    ] as const)("uses sslmode %s", async (mode, encrypted) => {
      expect(await isEncrypted(at(mode))).toBe(encrypted);
    });

    test.each(["verify-ca", "verify-full"] as const)("trusts a known certificate with %s", async (mode) => {
      expect(await isEncrypted(at(mode, trusted))).toBe(true);
    });

    test.each(["verify-ca", "verify-full"] as const)(
      "refuses an unknown certificate with %s",
      async (mode) => {
        for (const roots of [other, undefined]) {
          expect(await errorOf(at(mode, roots))).toMatchObject({ code: NOT_VERIFIED });
        }
      },
    );

    test("compares the host's name with verify-full only", async () => {
      expect(await isEncrypted(at("verify-ca", trusted, "localhost"))).toBe(true);
      expect(await errorOf(at("verify-full", trusted, "localhost"))).toMatchObject({
        code: "ERR_TLS_CERT_ALTNAME_INVALID",
      });
    });

    test("with allow uses TLS if the server insists on it", async () => {
      expect(stateOf(await errorOf({ ...at("disable"), ...secured }))).toBe("28000");
      expect(await isEncrypted({ ...at("allow"), ...secured })).toBe(true);
    });

    test("sends the password", async () => {
      expect(await isEncrypted({ ...at("require"), ...secured })).toBe(true);
      const refused = await errorOf({ ...at("require"), user: "secured", password: "another" });
      expect(stateOf(refused)).toBe("28P01");
      expect(troubleOf(refused)).toBe("away");
    });
  });

  describe("to a server without TLS", () => {
    let cluster: Cluster;
    const at = (mode: SslMode): PostgresTarget => ({
      ...overNetwork(cluster.target),
      tls: { mode, rootCertificates: undefined },
    });
    beforeAll(async () => {
      cluster = await createCluster();
    }, STARTS_WITHIN_MS);
    afterAll(() => cluster[Symbol.asyncDispose]());

    test("is not encrypted with prefer, and fails with require", async () => {
      expect(await isEncrypted(at("prefer"))).toBe(false);
      expect(troubleOf(await errorOf(at("require")))).toBe("away");
    });

    test("goes over a Unix socket", async () => {
      const connection = await connect({
        ...cluster.target,
        tls: { mode: "verify-full", rootCertificates: undefined },
      });
      const rows = await connection.read<{ local: boolean }>("select inet_client_addr() is null as local");
      await connection.drop();
      expect(rows).toEqual([{ local: true }]);
    });

    test("is closed when the server ends it", async () => {
      const connection = await connect(cluster.target);
      const admin = await connect(cluster.target);
      const [mine] = await connection.read<{ pid: number }>("select pg_backend_pid() as pid");
      const waiting = connection.send("select pg_sleep($1)", [60]).catch((error: unknown) => error);
      await admin.read("select pg_terminate_backend($1)", [mine?.pid ?? 0]);
      const error = await waiting;
      expect([stateOf(error), troubleOf(error), connection.isOpen()]).toEqual(["57P01", "away", false]);
      await Promise.all([connection.drop(), admin.drop()]);
    });

    test("that is dropped rejects what is not answered", async () => {
      const connection = await connect(cluster.target);
      const waiting = connection.send("select pg_sleep($1)", [60]).catch((error: unknown) => error);
      await connection.drop();
      expect(troubleOf(await waiting)).toBe("away");
      expect(connection.isOpen()).toBe(false);
    });

    test("says that a server which is not there is away", async () => {
      const error = await errorOf({
        ...cluster.target,
        servers: [{ host: "127.0.0.1", port: 1 }],
      });
      expect(troubleOf(error)).toBe("away");
    });
  });
});
