import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../../package.json";
import { createSecretLookup } from "../../src/config/secrets.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { refusedStart, testInbox } from "../support/test-inbox.ts";

interface Folder extends Disposable {
  readonly path: string;
}

/** A folder with these files, removed when the test ends. */
function folderWith(files: Record<string, string>): Folder {
  const path = temporaryFolder("secrets");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe("env:NAME", () => {
  const scenarios: {
    name: string;
    environment: Record<string, string>;
    dotEnv?: string;
    found: { secret: string } | { problem: RegExp };
  }[] = [
    {
      name: "the process environment comes first",
      environment: { SECRET: "from the process" },
      dotEnv: "SECRET=from .env",
      found: { secret: "from the process" },
    },
    {
      name: "then the inbox folder's .env",
      environment: {},
      dotEnv: "SECRET=from .env",
      found: { secret: "from .env" },
    },
    {
      name: "the process environment is enough without a .env",
      environment: { SECRET: "x" },
      found: { secret: "x" },
    },
    {
      name: "quotation marks around it are not part of the secret",
      environment: {},
      dotEnv: `SECRET="it's #1"`,
      found: { secret: "it's #1" },
    },
    {
      name: "single quotation marks around it are not part of the secret",
      environment: {},
      dotEnv: `SECRET='a "b" c'`,
      found: { secret: 'a "b" c' },
    },
    {
      name: "white space around it is not part of the secret",
      environment: {},
      dotEnv: "SECRET =  bare  \n",
      found: { secret: "bare" },
    },
    {
      name: "a comment after it is not part of the secret",
      environment: {},
      dotEnv: "SECRET=bare # it\n",
      found: { secret: "bare" },
    },
    {
      name: "an equals sign in it is part of the secret",
      environment: {},
      dotEnv: "SECRET=whsec_YWJj==",
      found: { secret: "whsec_YWJj==" },
    },
    {
      name: "a dollar sign does not stand for a variable",
      environment: { HOME: "x" },
      dotEnv: "SECRET=a$HOME",
      found: { secret: "a$HOME" },
    },
    {
      name: "export before the name is allowed",
      environment: {},
      dotEnv: "export SECRET=x",
      found: { secret: "x" },
    },
    {
      name: "Windows line breaks",
      environment: {},
      dotEnv: "A=1\r\nSECRET=x\r\nB=2\r\n",
      found: { secret: "x" },
    },
    {
      name: "an empty variable in the process environment is refused",
      environment: { SECRET: "" },
      dotEnv: "SECRET=x",
      found: {
        problem: /^env:SECRET is empty, and nothing can be verified with an empty value: put SECRET=… into /,
      },
    },
    {
      name: "a variable that holds only blanks is refused",
      environment: {},
      dotEnv: 'SECRET=" \t"\n',
      found: { problem: /^env:SECRET is empty/ },
    },
    {
      name: "an empty variable in .env is refused",
      environment: {},
      dotEnv: "SECRET=\n",
      found: { problem: /^env:SECRET is empty/ },
    },
    {
      name: "a line that is commented out does not count",
      environment: {},
      dotEnv: "# SECRET=x\n",
      found: { problem: /^env:SECRET is not set: put SECRET=… into .*\.env, or into the environment$/ },
    },
    {
      name: "a name in another case is not set",
      environment: { secret: "in small letters" },
      found: { problem: /^env:SECRET is not set/ },
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))("%s", (_, { environment, dotEnv, found }) => {
    using folder = folderWith(dotEnv === undefined ? {} : { ".env": dotEnv });
    const result = createSecretLookup(folder.path, environment)("env:SECRET");
    if ("secret" in found) expect(result).toEqual(found);
    else expect((result as { problem: string }).problem).toMatch(found.problem);
  });

  test("names that every object inherits are not set", () => {
    using folder = folderWith({});
    const lookUp = createSecretLookup(folder.path, {});
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      expect(lookUp(`env:${name}`)).toMatchObject({
        problem: expect.stringContaining("is not set") as string,
      });
    }
  });

  test("the working directory's .env is never read", () => {
    using elsewhere = folderWith({ ".env": "HOOKONCE_TEST_ELSEWHERE=from the working directory" });
    using folder = folderWith({ ".env": "OTHER=1" });
    const before = process.cwd();
    try {
      process.chdir(elsewhere.path);
      expect(createSecretLookup(folder.path, process.env)("env:HOOKONCE_TEST_ELSEWHERE")).toMatchObject({
        problem: expect.stringContaining("is not set") as string,
      });
    } finally {
      process.chdir(before);
    }
  });

  test("the working directory's .env is not read by a process that is started there, as `bun start` is", () => {
    using elsewhere = folderWith({ ".env": "HOOKONCE_TEST_ELSEWHERE=from the working directory" });
    using folder = folderWith({
      "hookonce.toml":
        'version = 1\n[sources.a]\nprovider = "stripe"\nsecret = "env:HOOKONCE_TEST_ELSEWHERE"\n',
    });
    const root = join(import.meta.dir, "../..");
    // Bun's own options in `bun start`.
    const options =
      /bun((?: --\S+)*) src\/main\.ts/.exec(packageJson.scripts.start)?.[1]?.split(" ").filter(Boolean) ?? [];
    const { exitCode, stderr } = Bun.spawnSync({
      cmd: [process.execPath, ...options, join(root, "src/main.ts"), "check", folder.path],
      cwd: elsewhere.path,
      env: { PATH: process.env["PATH"] ?? "" },
    });
    expect(stderr.toString()).toContain("env:HOOKONCE_TEST_ELSEWHERE is not set");
    expect(exitCode).toBe(1);
  });
});

describe("file:path", () => {
  test("may be relative to the inbox folder", () => {
    using folder = folderWith({ "secrets/stripe": "whsec_x" });
    const lookUp = createSecretLookup(folder.path, {});
    expect(lookUp("file:secrets/stripe")).toEqual({ secret: "whsec_x" });
    expect(lookUp("file:./secrets/stripe")).toEqual({ secret: "whsec_x" });
  });

  test("may be absolute", () => {
    using folder = folderWith({});
    using elsewhere = folderWith({ stripe: "whsec_x" });
    expect(createSecretLookup(folder.path, {})(`file:${elsewhere.path}/stripe`)).toEqual({
      secret: "whsec_x",
    });
  });

  test("is looked up under $CREDENTIALS_DIRECTORY before the inbox folder", () => {
    using folder = folderWith({ stripe: "from the folder", own: "only here" });
    using credentials = folderWith({ stripe: "from systemd" });
    const lookUp = createSecretLookup(folder.path, { CREDENTIALS_DIRECTORY: credentials.path });
    expect(lookUp("file:stripe")).toEqual({ secret: "from systemd" });
    expect(lookUp("file:own")).toEqual({ secret: "only here" });
    // Only the process environment sets the directory: .env belongs to the inbox folder.
    writeFileSync(join(folder.path, ".env"), `CREDENTIALS_DIRECTORY=${credentials.path}`);
    expect(createSecretLookup(folder.path, {})("file:stripe")).toEqual({ secret: "from the folder" });
  });

  test.each([
    ["one line break at the end is not part of the secret", "whsec_x\n", "whsec_x"],
    ["one Windows line break at the end is not part of the secret", "whsec_x\r\n", "whsec_x"],
    ["a second line break at the end is part of the secret", "whsec_x\n\n", "whsec_x\n"],
    ["a line break before it is part of the secret", "\nwhsec_x", "\nwhsec_x"],
    ["spaces are part of the secret", " whsec_x ", " whsec_x "],
    ["equals signs and quotation marks are part of the secret", '"a=b"', '"a=b"'],
  ])("%s", (_, text, secret) => {
    using folder = folderWith({ it: text });
    expect(createSecretLookup(folder.path, {})("file:it")).toEqual({ secret });
  });

  test.each([
    [
      "an empty file is refused",
      "file:empty",
      /^file:empty is empty, and nothing can be verified with an empty value: put the secret into .*empty$/,
    ],
    ["a file with only a line break is refused", "file:break", /^file:break is empty/],
    ["a missing file is refused", "file:absent", /^file:absent cannot be read: .*ENOENT|no such file/],
    ["a folder is refused", "file:folder", /^file:folder cannot be read: /],
  ])("%s", (_, reference, problem) => {
    using folder = folderWith({ empty: "", break: "\n", "folder/x": "" });
    const found = createSecretLookup(folder.path, {})(reference) as { problem: string };
    expect(found.problem).toMatch(problem);
  });
});

test("a start with a missing secret is refused, and no secret is shown", async () => {
  const error = await refusedStart({
    config: '[sources.a]\nprovider = "stripe"\nsecret = ["env:GOOD", "file:absent", "env:MISSING"]\n',
    files: { ".env": "GOOD=whsec_do_not_show" },
  });
  expect(error.problems.map(({ line, message }) => [line, message.split(" ").slice(0, 2).join(" ")])).toEqual(
    [
      [4, "sources.a.secret: file:absent"],
      [4, "sources.a.secret: env:MISSING"],
    ],
  );
  expect(JSON.stringify(error.problems)).not.toContain("whsec_do_not_show");
});

test("a secret is not logged, answered or stored", async () => {
  await using inbox = await testInbox({
    config: '[sources.github]\nprovider = "github"\nsecret = "env:S"\n',
    files: { ".env": "S=do_not_show_this" },
  });
  chmodSync(join(inbox.folder, ".env"), 0o600);
  const digest = new Bun.CryptoHasher("sha256", "do_not_show_this").update("{}").digest("hex");
  const send = async (signature: string): Promise<string> => {
    const response = await inbox.request("/webhook/github", {
      method: "POST",
      body: "{}",
      headers: {
        "x-hub-signature-256": signature,
        "x-github-delivery": "1",
        "x-github-event": "ping",
        authorization: "Bearer do_not_keep_this",
        cookie: "session=do_not_keep_this",
      },
    });
    return response.text();
  };
  const said = [
    await send(`sha256=${digest}`),
    await send(`sha256=${digest.slice(1)}`),
    await send(""),
  ].join();
  expect(said).toContain('"status":"unhandled"');
  const log = JSON.stringify(inbox.log);
  const stored = JSON.stringify(
    inbox.rows("select headers, cast(bytes as text) as body from hookonce_bodies"),
  );
  for (const text of [said, log, stored]) {
    expect(text).not.toContain("do_not_show_this");
    expect(text).not.toContain("do_not_keep_this");
  }
  // The signature is stored, because forwarding needs it, but it is not logged.
  expect(stored).toContain(digest);
  expect(log).not.toContain(digest);
  expect(stored).toContain("[redacted]");
});
