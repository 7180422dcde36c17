import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { locationIn, nameOf, type PostgresLocation } from "../../src/config/location.ts";
import { readTarget } from "../../src/config/postgres.ts";
import { createSecretLookup, type Environment } from "../../src/config/secrets.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

const folder = temporaryFolder("postgres-config");
writeFileSync(join(folder, "ca.pem"), CERTIFICATE);
writeFileSync(join(folder, "password"), "p@ss word\n");
writeFileSync(join(folder, "empty.pem"), "nothing");

const environment: Environment = {
  DB_PASSWORD: "s3cret",
  DATABASE_URL: "postgres://app:s3cret%21@db/shop",
  BROKEN_URL: "postgres://app:s3cret@/shop?sslmode=no",
  NOT_A_URL: "host=db password=s3cret",
  AT_URL: "postgres://app:s3@cret@db/shop",
  SLASH_URL: "postgres://app:s3/cret@db/shop",
  QUESTION_URL: "postgres://app:s3?cret@db/shop",
  BLANK: " ",
};

const locationOf = (...urls: readonly string[]): PostgresLocation =>
  locationIn(folder, urls) as PostgresLocation;
const read = (...urls: readonly string[]) =>
  readTarget(locationOf(...urls), createSecretLookup(folder, environment));
const targetOf = (...urls: readonly string[]) => {
  const { target, problems } = read(...urls);
  expect(problems).toEqual([]);
  return target;
};

describe("a URL of PostgreSQL", () => {
  test("has the defaults of libpq, and a limit for connecting", () => {
    expect(targetOf("postgres://app@db.example.com/shop")).toEqual({
      name: "postgres://app@db.example.com:5432/shop",
      beside: join(folder, "data", "hookonce"),
      servers: [{ host: "db.example.com", port: 5432 }],
      user: "app",
      password: undefined,
      database: "shop",
      tls: { mode: "prefer", rootCertificates: undefined },
      applicationName: "hookonce",
      connectTimeoutMs: 10_000,
      prepare: true,
    });
  });

  test("may name everything by parameters", () => {
    const url =
      "postgresql:///?host=db&port=6000&user=a%20b&dbname=sh%2Fop&application_name=inbox&connect_timeout=3&prepare=false&target_session_attrs=read-write&channel_binding=prefer";
    expect(targetOf(url)).toMatchObject({
      servers: [{ host: "db", port: 6000 }],
      user: "a b",
      database: "sh/op",
      applicationName: "inbox",
      connectTimeoutMs: 3000,
      prepare: false,
    });
  });

  test.each([
    ["env:DB_PASSWORD", "s3cret"],
    ["file:password", "p@ss word"],
    [`file:${join(folder, "password")}`, "p@ss word"],
  ])("takes the password from %s", (reference, password) => {
    const found = read(`postgres://app@db/shop?password=${reference}`);
    expect(found).toMatchObject({ target: { password }, problems: [], references: [reference] });
  });

  test("may be a secret as a whole, with the password in it", () => {
    expect(read("env:DATABASE_URL")).toMatchObject({
      target: { name: "postgres://app@db:5432/shop", password: "s3cret!" },
      references: ["env:DATABASE_URL"],
    });
  });

  test("may name several servers, each with its port", () => {
    const servers = [
      { host: "db1", port: 5000 },
      { host: "db2", port: 6000 },
      { host: "::1", port: 7000 },
    ];
    expect(targetOf("postgres://app@db1,db2:6000,[::1]:7000/shop?port=5000")?.servers).toEqual(servers);
    const listed = ["db1:5000", "db2:6000", "[::1]:7000"].map((host) => `postgres://app@${host}/shop`);
    expect(targetOf(...listed)).toMatchObject({
      name: "postgres://app@db1:5000,db2:6000,[::1]:7000/shop",
      servers,
    });
    expect(targetOf("postgres:///shop?user=app&host=db1,db2&port=5000,6000")?.servers).toEqual(
      servers.slice(0, 2),
    );
  });

  test.each([
    "postgres://app@%2Fvar%2Frun%2Fpostgresql/shop",
    "postgres://app@/shop?host=/var/run/postgresql",
    "postgres:///shop?host=%2Fvar%2Frun%2Fpostgresql&user=app",
  ])("may name the folder of a Unix socket: %s", (url) => {
    expect(targetOf(url)?.servers).toEqual([{ host: "/var/run/postgresql", port: 5432 }]);
  });

  test.each([
    ["disable", "disable", undefined],
    ["allow", "allow", undefined],
    ["require", "require", undefined],
    ["verify-ca&sslrootcert=ca.pem", "verify-ca", CERTIFICATE],
    ["verify-full&sslrootcert=ca.pem", "verify-full", CERTIFICATE],
    ["verify-full&sslrootcert=system", "verify-full", undefined],
    ["verify-full", "verify-full", undefined],
    // https://www.postgresql.org/docs/current/libpq-ssl.html: for the sake of earlier versions.
    ["require&sslrootcert=ca.pem", "verify-ca", CERTIFICATE],
  ] as const)("names how it is protected: sslmode=%s", (query, mode, rootCertificates) => {
    expect(targetOf(`postgres://app@db/shop?sslmode=${query}`)?.tls).toEqual({ mode, rootCertificates });
  });

  test("says without secrets what is wrong, and what it refers to", () => {
    const urls = ["postgres://app@db1/shop?password=env:MISSING&port=x", "env:ALSO_MISSING"];
    expect(readTarget(locationOf(...urls), null)).toEqual({
      target: null,
      problems: [
        { index: 0, message: 'the URL has the port "x": write a number from 1 to 65535, as in db1:5432' },
      ],
      references: ["env:ALSO_MISSING"],
    });
    expect(readTarget(locationOf("postgres://app@db/shop?password=env:MISSING"), null)).toEqual({
      target: null,
      problems: [],
      references: ["env:MISSING"],
    });
  });
});

describe("is refused with what to write instead:", () => {
  const app = "postgres://app@db/shop";
  test.each<[name: string, urls: string | string[], ...problems: string[]]>([
    ["a password in it", "postgres://app:s3cret@db/shop", "write ?password=env:NAME in its place"],
    ["a password as parameter", `${app}?password=s3cret`, "write ?password=env:NAME in its place"],
    ["an empty reference", `${app}?password=env:`, "write ?password=env:NAME in its place"],
    ["a missing variable", `${app}?password=env:MISSING`, "env:MISSING is not set: put MISSING=… into"],
    ["a missing file", `${app}?password=file:missing`, "file:missing cannot be read"],
    ["an empty password", `${app}?password=env:BLANK`, "env:BLANK is empty"],
    ["a missing URL", "env:MISSING", "env:MISSING is not set"],
    ["no URL in a variable", "env:NOT_A_URL", "env:NOT_A_URL does not have the form of a PostgreSQL URL"],
    [
      "everything in a variable",
      "env:BROKEN_URL",
      "env:BROKEN_URL names no host",
      'env:BROKEN_URL has the unknown sslmode "no"',
    ],
    [
      "an @ in the password",
      "env:AT_URL",
      "env:AT_URL has an @, a / or a ? in its user or its password: write %40",
    ],
    ["a / in the password", "env:SLASH_URL", "env:SLASH_URL has an @, a / or a ?"],
    ["a ? in the password", "env:QUESTION_URL", "env:QUESTION_URL has an @, a / or a ?"],
    ["no user", "postgres://db/shop", "the URL names no user: write it before the host"],
    ["no database", "postgres://app@db", "the URL names no database: write it behind the host"],
    ["no host", "postgres://app@/shop", "the URL names no host: write one"],
    ["an empty host", "postgres://app@db,/shop", "the URL names an empty host"],
    ["port 0", "postgres://app@db:0/shop", 'the URL has the port "0": write a number from 1 to 65535'],
    ["a port above 65535", "postgres://app@db:65536/shop", 'the URL has the port "65536"'],
    ["more ports than hosts", `${app}?port=1,2`, "names 2 ports and not as many hosts"],
    [
      "an sslmode in upper case",
      `${app}?sslmode=REQUIRE`,
      'unknown sslmode "REQUIRE": write disable, allow, prefer',
    ],
    ["a certificate for nothing", `${app}?sslrootcert=ca.pem`, "sslmode=prefer verifies nothing"],
    ["a missing certificate", `${app}?sslmode=verify-ca&sslrootcert=no.pem`, "no.pem cannot be read"],
    ["no certificate", `${app}?sslmode=verify-ca&sslrootcert=empty.pem`, "empty.pem contains no certificate"],
    [
      "a misspelled parameter",
      `${app}?ssl_mode=require`,
      'unknown parameter "ssl_mode"; did you mean sslmode?',
    ],
    ["a parameter twice", `${app}?sslmode=require&sslmode=disable`, 'the parameter "sslmode" twice'],
    ["no time to connect", `${app}?connect_timeout=0`, "write a number of seconds"],
    ["half of a prepare", `${app}?prepare=0`, "write prepare=false for a pooler"],
    ["only a standby", `${app}?target_session_attrs=standby`, "hookonce finds the primary itself"],
    ["channel binding", `${app}?channel_binding=require`, "write sslmode=verify-full"],
    ["a % alone", "postgres://app@db/100%", "the database has a % that is not followed by"],
    ["a path in a list", [app, "data/app.db"], "the URL does not have the form of a PostgreSQL URL"],
    ["another database in a list", [app, "postgres://app@db2/other"], "the URLs differ in the database"],
    ["another user in a list", [app, "postgres://b@db2/shop"], "the URLs differ in the user"],
    [
      "several things at once",
      "postgres://:s3cret@db:x/?sslmode=on",
      "names no user",
      "names no database",
      "contains the password",
      'has the port "x"',
      'unknown sslmode "on"',
    ],
  ])("%s", (_, urls, ...expected) => {
    const { target, problems } = read(...[urls].flat());
    expect(target).toBeNull();
    expect(problems).toHaveLength(expected.length);
    for (const [index, text] of expected.entries()) expect(problems[index]?.message).toContain(text);
    expect(JSON.stringify(problems)).not.toContain("s3cret");
  });

  test("each problem of a list has its place", () => {
    const { problems } = read(
      "postgres://app@db1:0/shop",
      "postgres://app@db2/shop",
      "postgres://app@db3:0/shop",
    );
    expect(problems.map(({ index }) => index)).toEqual([0, 2]);
  });
});

test("the name of a database has no password", () => {
  const names = [
    "postgres://app:s3cret@db/shop",
    "postgres://app@db/shop?sslmode=require&password=s3cret&port=1",
    "postgres://app@db/shop?password=env:DB_PASSWORD",
  ].map((url) => nameOf(locationOf(url)));
  expect(names).toEqual([
    "postgres://app@db/shop",
    "postgres://app@db/shop?sslmode=require&password=…&port=1",
    "postgres://app@db/shop?password=env:DB_PASSWORD",
  ]);
});
