import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, paid, scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";

/** The log may have this size: what one pass of hookonce leaves, and what is written meanwhile. */
const MOST_LOG = 100 * 1024 * 1024;

/** Delivers from eight clients until it is stopped. */
function deliverTo(server: Serving, database: string) {
  const answered: string[] = [];
  let largestLog = 0;
  const stop = new AbortController();
  const client = async (name: number): Promise<void> => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const { status } = await server.post("/webhook", { ...paid, event_id: `${server.pid}_${name}_${n}` });
      expect(status).toBe(200);
      answered.push(`${server.pid}_${name}_${n}`);
      largestLog = Math.max(largestLog, statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0);
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, (_, name) => client(name)));
  return {
    answered,
    async stop(): Promise<number> {
      stop.abort();
      await clients;
      return largestLog;
    },
  };
}

function idsIn(path: string): string[] {
  using database = new Database(path, { readonly: true });
  expect(database.query("pragma integrity_check").values()).toEqual([["ok"]]);
  return database.query("select event_id from hookonce_events").values().flat().map(String).sort();
}

testUnless(
  onlyInFullRun(),
  "a process that keeps a read transaction and moves the log itself, as Litestream does, disturbs no delivery",
  async () => {
    using folder = scratch(inboxFiles);
    const database = join(folder.path, "data/hookonce.db");
    const answered: string[] = [];
    let replicator: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
    try {
      // The second start finds the log in use, after a kill.
      for (const _ of [1, 2]) {
        await using server = await serve(folder.path);
        replicator ??= Bun.spawn([process.execPath, join(import.meta.dir, "replicate.ts"), database], {
          stdin: "ignore",
          stdout: "pipe",
          stderr: "pipe",
        });
        const load = deliverTo(server, database);
        await Bun.sleep(3000);
        expect(await load.stop()).toBeLessThan(MOST_LOG);
        answered.push(...load.answered);
        expect(server.log.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
        server.signal("SIGKILL");
        await server.ended;
      }
    } finally {
      replicator?.kill();
    }
    const said = (await replicator?.stdout.text()) ?? "";
    expect(await replicator?.stderr.text()).toBe("");
    for (const how of ["passive", "restart", "truncate"]) expect(said).toContain(`${how} done`);
    expect(idsIn(database)).toEqual(answered.toSorted());
  },
  120_000,
);

testUnless(
  onlyInFullRun() ?? needsCommand("litestream"),
  "Litestream's replica has every answered event, across a stop and a kill of serve",
  async () => {
    using folder = scratch(
      Object.fromEntries(Object.entries(inboxFiles).map(([path, text]) => [`inbox/${path}`, text])),
    );
    const database = join(folder.path, "inbox/data/hookonce.db");
    const config = join(folder.path, "litestream.yml");
    folder.write({
      "litestream.yml": `dbs:
  - path: ${database}
    checkpoint-interval: 1s
    min-checkpoint-page-count: 100
    max-checkpoint-page-count: 2000
    replicas:
      - type: file
        path: ${join(folder.path, "replica")}
        sync-interval: 200ms
`,
    });
    const litestream = Bun.which("litestream") ?? "";
    const answered: string[] = [];
    let replicate: Bun.Subprocess | undefined;
    try {
      for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM"] as const) {
        await using server = await serve(join(folder.path, "inbox"));
        replicate ??= Bun.spawn([litestream, "replicate", "-config", config], {
          stdout: "ignore",
          stderr: "ignore",
        });
        const load = deliverTo(server, database);
        await Bun.sleep(3000);
        expect(await load.stop()).toBeLessThan(MOST_LOG);
        answered.push(...load.answered);
        server.signal(signal);
        await server.ended;
      }
      await Bun.sleep(3000);
    } finally {
      // It sends what is left before it ends.
      replicate?.kill("SIGINT");
      await replicate?.exited;
    }
    const copy = join(folder.path, "copy.db");
    expect(await Bun.spawn([litestream, "restore", "-config", config, "-o", copy, database]).exited).toBe(0);
    expect(existsSync(copy)).toBe(true);
    expect(idsIn(copy)).toEqual(answered.toSorted());
  },
  120_000,
);
