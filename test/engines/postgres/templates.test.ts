import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeInbox } from "../../../src/cli/write-inbox.ts";
import type { Connection } from "../../../src/engines/postgres/connection.ts";
import { providers } from "../../../src/providers/presets.ts";
import { exampleFor, type Example } from "../../../src/simulator/example.ts";
import { examples } from "../../../src/simulator/examples.ts";
import { payloadOf, starterHandler } from "../../../src/simulator/starter-handler.ts";
import { inboxFiles, inboxFilesForPostgres } from "../../../src/templates/inbox-files.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const URL = "postgres://app@db/shop?password=env:DB_PASSWORD";

const project = join(import.meta.dir, "../../..");

function newFolder(): string {
  const folder = join(temporaryFolder("postgres-init"), "inbox");
  writeInbox(folder, URL);
  return folder;
}

const read = (folder: string, file: string): string => readFileSync(join(folder, file), "utf8");

describe("an inbox folder for PostgreSQL", () => {
  test(
    "names the database, and asks for its password",
    () => {
      const folder = newFolder();
      expect(Bun.TOML.parse(read(folder, "hookonce.toml"))).toMatchObject({
        database: URL,
        retention: { payloads: "90d" },
        sources: { default: { provider: "unsigned" } },
      });
      expect(read(folder, ".env")).toMatch(/^DB_PASSWORD=$/m);
      expect(statSync(join(folder, ".env")).mode & 0o777).toBe(0o600);
      // Without --database, the types stay those of PostgreSQL.
      expect(writeInbox(folder).written).toEqual([]);
    },
    STARTS_WITHIN_MS,
  );

  test("has its whole text in the dialect of PostgreSQL", () => {
    const files = inboxFilesForPostgres(URL, ["DB_PASSWORD"]);
    expect(files.map(({ path }) => path)).toEqual(inboxFiles.map(({ path }) => path));
    for (const { path, text } of files) {
      expect({ path, isChanged: text !== inboxFiles.find((file) => file.path === path)?.text }).toEqual({
        path,
        isChanged: true,
      });
      expect(text).not.toMatch(/sqlite|hookonce_|->> '\$|db\.run/i);
    }
    const agents = files.find(({ path }) => path === "AGENTS.md")?.text ?? "";
    for (const words of [
      "PostgreSQL transaction",
      "hookonce.outbox (destination",
      "#>> '{data,object,id}'",
      "await db.execute",
    ])
      expect(agents).toContain(words);
  });

  test(
    "has types that accept a correct handler with nothing installed, and refuse each mistake",
    () => {
      const folder = newFolder();
      for (const [file, text] of Object.entries({
        "handlers/lib/shop.ts": library,
        "handlers/default/good.ts": good,
        "handlers/default/refused.ts": refused,
        "handlers/default/good.test.ts": goodTest,
      })) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        writeFileSync(join(folder, file), text);
      }
      const tsc = join(project, "node_modules/typescript/lib/tsc.js");
      const { stdout } = Bun.spawnSync([process.execPath, tsc, "--noEmit", "-p", folder], { cwd: folder });
      expect(stdout.toString()).toBe("");
    },
    STARTS_WITHIN_MS,
  );
});

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

describeUnless(why, "on a real server, the samples", () => {
  let wire: Connection;
  const folder = newFolder();
  /** As the engine binds the names (sql-text.ts). */
  const handler = read(folder, "handlers/default/_any.sql").replaceAll(":payload", "(($1::text)::jsonb)");
  const run = async (payload: object): Promise<number> =>
    (await wire.send(handler, [JSON.stringify(payload)])).count;

  beforeAll(async () => {
    const cluster = await sharedCluster();
    wire = await connect(await cluster.database());
    await wire.script(read(folder, "migrations/0001_credits.sql"));
  }, STARTS_WITHIN_MS);

  test("add credits, ignore other events, and fail if cents is not an integer", async () => {
    expect(await run({ event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 })).toBe(1);
    expect(await run({ customer: "ada", cents: -20 })).toBe(1);
    expect(await run({ customer: "bob", cents: "7" })).toBe(1);
    expect(await run({})).toBe(0);
    expect(await run({ customer: "ada" })).toBe(0);
    expect(await run({ customer: null, cents: 1 })).toBe(0);
    for (const cents of [1.5, "x", {}]) {
      const error = await run({ customer: "ada", cents }).catch((thrown: unknown) => thrown);
      expect(String(error)).toContain("bigint");
    }
    const { rows } = await wire.send("select customer, cents::int from credits order by 1");
    expect(rows).toEqual([
      ["ada", 480],
      ["bob", 7],
    ]);
  });
});

describeUnless(why, "on a real server, a starter handler", () => {
  let wire: Connection;

  beforeAll(async () => {
    const cluster = await sharedCluster();
    wire = await connect(await cluster.database());
  }, STARTS_WITHIN_MS);

  test(
    "finds a value at each of its paths, for every provider",
    async () => {
      for (const [name, provider] of providers) {
        const example = examples.get(name) as Example;
        for (const word of [...example.types, ...Object.keys(example.untyped ?? {})]) {
          const { text } = starterHandler(provider, example, name, word, "postgres");
          const made = exampleFor(example, word);
          const payload = JSON.stringify(payloadOf(provider, made.example, made.type));
          const sql = text
            .replaceAll(/^--.*$/gm, "")
            .replaceAll(":payload", "(($1::text)::jsonb)")
            .replace(/;\s*$/, "");
          const { rows } = await wire.send(sql, [payload]);
          expect({ name, word, values: rows[0]?.length }).not.toEqual({ name, word, values: 0 });
          expect({ name, word, found: rows[0]?.map((value) => value !== null) }).toEqual({
            name,
            word,
            found: rows[0]?.map(() => true),
          });
        }
      }
    },
    STARTS_WITHIN_MS,
  );

  test("has updates that PostgreSQL accepts", async () => {
    await wire.script(`create table orders (user_id text, plan text, cents bigint, session_id text);
      create table mails (event_id text, sender text, subject text, body text);`);
    for (const [name, word, table] of [
      ["stripe", "checkout.session.completed", "orders"],
      ["mailgun", "inbound", "mails"],
    ] as const) {
      const { text } = starterHandler(
        providers.get(name)!,
        examples.get(name) as Example,
        name,
        word,
        "postgres",
      );
      const statement = /^-- {3}(insert[^;]*);/m.exec(text)?.[1]?.replaceAll(/^-- */gm, "") ?? "";
      const made = exampleFor(examples.get(name) as Example, word);
      const payload = JSON.stringify(payloadOf(providers.get(name)!, made.example, made.type));
      const sql = statement.replaceAll(":payload", "(($1::text)::jsonb)").replaceAll(":event_id", "'evt_1'");
      expect([name, (await wire.send(sql, [payload])).count]).toEqual([name, 1]);
      const { rows } = await wire.send(`select * from ${table}`);
      expect(rows[0]).not.toContain(null);
    }
  });
});

const library = `import { bigint, pgTable, text } from "drizzle-orm/pg-core";
import { z } from "zod";
export const credits = pgTable("credits", {
  customer: text().primaryKey(),
  cents: bigint({ mode: "number" }).notNull(),
});
export const Credit = z.object({ customer: z.string(), cents: z.int() });
`;

const good = `import { eq, sql } from "drizzle-orm";
import { handler, reply } from "hookonce";
import { Credit, credits } from "../lib/shop.ts";

export default handler(async ({ event, db, enqueue }) => {
  const credit = Credit.parse(event.payload);
  const [before] = await db.select().from(credits).where(eq(credits.customer, credit.customer));
  await db
    .insert(credits)
    .values(credit)
    .onConflictDoUpdate({ target: credits.customer, set: { cents: sql\`\${credits.cents} + excluded.cents\` } });
  await db.transaction(async (tx) => void (await tx.execute(sql\`delete from credits where cents = 0\`)));
  const [row] = await db.execute<{ sum: string }>(sql\`select sum(cents) as sum from credits\`);
  console.log(before?.cents.toFixed(), row?.sum.length);
  enqueue("app", { customer: credit.customer });
  return reply({ body: "hello" });
});
export const synchronous = handler(({ event }) => console.log(event.id));
`;

const goodTest = `import { expect, test } from "bun:test";
import { testInbox } from "hookonce/test";
test("x", async () => {
  await using box = await testInbox({ prepare: async (db) => db.script("create table a (id int)") });
  const rows = await box.db<{ id: number }>\`select * from a where id = \${1}\`;
  expect(rows.map(({ id }) => id.toFixed())).toEqual([]);
});
`;

const refused = `import { handler } from "hookonce";
import { credits } from "../lib/shop.ts";

// @ts-expect-error: neither nothing nor a reply
export const otherValue = handler(async ({ db }) => db.select().from(credits));
// @ts-expect-error: a reply is made by reply()
export const notAReply = handler(async () => ({ status: 200 }));
export const mistakes = handler<{ cents: number }>(async ({ event, db }) => {
  // @ts-expect-error: no such column
  await db.insert(credits).values({ customer: "ada", euros: 1 });
  // @ts-expect-error: that is SQLite's
  db.run("select 1");
  // @ts-expect-error: not in the payload
  event.payload.euros;
  // @ts-expect-error: work that leaves the process has no place in a transaction
  await fetch("https://example.com");
});
`;
