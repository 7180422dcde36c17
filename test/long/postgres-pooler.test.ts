import { beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, scratch, serve, start } from "../cli/support/hookonce.ts";
import { onlyInLongRun } from "../crash/requirements.ts";
import {
  commandAs,
  connect,
  createCluster,
  freePort,
  ownerOf,
  postgresPrograms,
  STARTS_WITHIN_MS,
  type Cluster,
} from "../engines/postgres/cluster.ts";

/** Debian's pgbouncer between hookonce and the server, as the README has it. */

const PGBOUNCER = "/usr/sbin/pgbouncer";

const why =
  onlyInLongRun() ??
  (postgresPrograms() === undefined || !existsSync(PGBOUNCER)
    ? "needs a Debian system with: apt-get install postgresql pgbouncer"
    : undefined);

async function pooler(cluster: Cluster, mode: "session" | "transaction") {
  const [{ port: server } = { port: 0 }] = cluster.target.servers;
  const port = freePort();
  const config = join(cluster.folder, `${mode}.ini`);
  const text = `[databases]
postgres = host=127.0.0.1 port=${server} user=postgres dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
ignore_startup_parameters = client_min_messages, statement_timeout
`;
  writeFileSync(config, text);
  const owner = ownerOf();
  if (owner !== undefined) chownSync(config, owner, owner);
  const log = Bun.file(join(cluster.folder, `${mode}.log`));
  const child = Bun.spawn(commandAs(owner, [PGBOUNCER, config]), { stdout: log, stderr: log });
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  for (let tries = 0; tries < 500; tries++) {
    // oxlint-disable-next-line no-await-in-loop -- until it listens
    if (await listens(port)) break;
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(20);
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })).end();
    return true;
  } catch {
    return false;
  }
}

const files = (database: string): Record<string, string> => ({
  "hookonce.toml": `version = 1
database = "${database}"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001.sql": "create table if not exists effects (event_id text not null, folder text);",
  "handlers/default/paid.sql": "insert into effects values (:event_id, current_setting('application_name'));",
  "handlers/default/bad.sql": "insert into effects values (null);",
  "handlers/default/script.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(async ({ event, db }) => {
  await db.transaction(async (inner) => {
    await inner.execute(sql\`insert into effects values (\${event.id}, 'script')\`);
  });
});
`,
});

describe.skipIf(why !== undefined)(`hookonce behind pgbouncer${why === undefined ? "" : ` (${why})`}`, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await createCluster();
  }, STARTS_WITHIN_MS);

  test.each([
    ["session", ""],
    ["transaction", "?prepare=false"],
  ] as const)(
    'in %s mode, with the parameters "%s", each event is applied once',
    async (mode, parameters) => {
      await using between = await pooler(cluster, mode);
      using inbox = scratch(files(`${between.url}${parameters}`));
      await using node = await serve(inbox.path);
      const answers = new Map<string, number>();
      const types = ["paid", "bad", "script", "paid"] as const;
      await Promise.all(
        Array.from({ length: 12 }, async () => {
          for (let n = 0; n < 60; n++) {
            const type = types[n % types.length] ?? "paid";
            const id = `${mode}_${n}`;
            // oxlint-disable-next-line no-await-in-loop -- one after another
            const { status } = await node.post("/webhook", { event_id: id, type });
            answers.set(`${type} ${status}`, (answers.get(`${type} ${status}`) ?? 0) + 1);
          }
        }),
      );
      expect(Object.fromEntries(answers)).toEqual({ "paid 200": 360, "script 200": 180, "bad 500": 180 });
      const connection = await connect(cluster.target);
      const rows = await connection.read(
        `select count(*) as effects, count(distinct event_id) as events from effects where event_id like '${mode}%'`,
      );
      await connection.drop();
      expect(rows).toEqual([{ effects: 45, events: 45 }]);
      // A command of another process, over a connection of its own.
      const { code, stdout } = await run([
        "try",
        "handlers/default/paid.sql",
        "--last",
        "--folder",
        inbox.path,
      ]);
      expect([code, stdout]).toEqual([0, expect.stringContaining("effects")]);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "in transaction mode without prepare=false, a start says what to write",
    async () => {
      await using between = await pooler(cluster, "transaction");
      using inbox = scratch(files(between.url));
      await using node = start(inbox.path);
      const { cause } = await node.logged("the start is tried again for up to 60 s");
      expect(cause).toContain("Add prepare=false to the URL");
    },
    STARTS_WITHIN_MS,
  );
});
