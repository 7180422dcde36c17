import { beforeAll, expect, test } from "bun:test";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import { run, scratch, serve, type Scratch } from "../cli/support/hookonce.ts";
import { onlyInFullRun, describeUnless } from "../crash/requirements.ts";
import {
  overNetwork,
  postgresPrograms,
  sharedCluster,
  STARTS_WITHIN_MS,
} from "../engines/postgres/cluster.ts";

/** Two processes of `hookonce serve` on one PostgreSQL database. */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

const EVENTS = 60;

interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** How often each event arrived. */
  readonly got: ReadonlyMap<string, number>;
}

function receiver(): Receiver {
  const got = new Map<string, number>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { event_id: id } = (await request.json()) as { event_id: string };
      got.set(id, (got.get(id) ?? 0) + 1);
      await Bun.sleep(5);
      return new Response("ok");
    },
  });
  return {
    url: String(server.url),
    got,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

async function filesFor(url: string): Promise<Record<string, string>> {
  const target = await (await sharedCluster()).database();
  const [server] = overNetwork(target).servers;
  return {
    "hookonce.toml": `version = 1
database = "postgres://${target.user}@${server?.host}:${server?.port}/${target.database}"

[admin]
listen = "off"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
forward  = ["app"]

[destinations.app]
url  = "${url}"
sign = "none"
`,
  };
}

const statusOf = async ({ path }: Scratch): Promise<StatusJson> =>
  JSON.parse((await run(["status", path, "--json"])).stdout) as StatusJson;

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isTrue())) await Bun.sleep(100);
}

describeUnless(missing, "two nodes", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  test(
    "send each message once, know of each other, and share what is paused",
    async () => {
      await using app = receiver();
      const files = await filesFor(app.url);
      using here = scratch(files);
      using there = scratch(files);
      await using one = await serve(here.path);
      await using two = await serve(there.path);
      const events = Array.from({ length: EVENTS }, (_, n) => ({ event_id: `evt_${n}`, type: "paid" }));
      // Each event to both, as a provider does that had no answer.
      const answers = await Promise.all(
        events.flatMap((event) => [one, two].map((node) => node.post("/webhook", event))),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      await until(() => app.got.size === EVENTS);

      await until(async () => (await statusOf(here)).nodes.every(({ version }) => version !== null));
      const { nodes, serving } = await statusOf(here);
      expect(new Set(nodes.map(({ name }) => name.split(":")[1]))).toEqual(new Set([here.path, there.path]));
      expect(new Set(nodes.map(({ config, handlers }) => `${config} ${handlers}`)).size).toBe(1);
      expect(serving?.warnings).toEqual([]);

      // Another config is loaded by one of them.
      const config = await Bun.file(`${there.path}/hookonce.toml`).text();
      await Bun.write(`${there.path}/hookonce.toml`, config.replace("forward", 'retry_for = "1h"\nforward'));
      expect((await run(["reload", there.path])).code).toBe(0);
      await until(async () => (await statusOf(here)).serving?.warnings[0]?.code === "nodes_differ");

      // All of them load their folders again.
      await Bun.write(`${there.path}/hookonce.toml`, config);
      const all = await run(["reload", "--all", "--folder", here.path]);
      expect(all.stdout).toContain(`${there.path}.`);
      expect(all.code).toBe(0);
      await until(async () => (await statusOf(here)).serving?.warnings.length === 0);
      await Bun.write(
        `${there.path}/hookonce.toml`,
        config.replace("[destinations.app]", "[destinations.other]"),
      );
      const refused = await run(["reload", "--all", "--folder", here.path]);
      expect(refused.stderr).toContain(`${there.path} still uses what it had loaded before: hookonce.toml`);
      expect(refused.code).toBe(1);
      await Bun.write(`${there.path}/hookonce.toml`, config);

      expect((await run(["pause", "app", "--folder", here.path])).code).toBe(0);
      const isPaused = async (): Promise<boolean> =>
        (await statusOf(there)).destinations.some(({ name, state }) => name === "app" && state === "paused");
      await until(isPaused);
      expect((await run(["resume", "app", "--folder", there.path])).code).toBe(0);
      await until(async () => !(await isPaused()));

      expect(Math.max(...app.got.values())).toBe(1);
    },
    STARTS_WITHIN_MS,
  );
});
