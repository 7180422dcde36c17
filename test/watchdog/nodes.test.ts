import { expect } from "bun:test";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import {
  connect,
  overNetwork,
  postgresPrograms,
  sharedCluster,
  STARTS_WITHIN_MS,
} from "../engines/postgres/cluster.ts";
import { service } from "./service.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

testUnless(
  missing,
  "a handler that never returns ends one node of a PostgreSQL database, and not the next one that gets the event",
  async () => {
    const target = await (await sharedCluster()).database();
    const [server] = overNetwork(target).servers;
    const files = {
      "hookonce.toml": `version = 1
database = "postgres://${target.user}@${server?.host}:${server?.port}/${target.database}"

[admin]
listen = "off"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
      "migrations/0001.sql": "create table effects (event_id text not null);",
      "handlers/default/good.sql": "insert into effects values (:event_id);",
      "handlers/default/loops.ts":
        'import { handler } from "hookonce";\nexport default handler(() => { while (true); });\n',
    };
    await using one = await service(files);
    await using two = await service(files);
    const event = { event_id: "hangs", type: "loops" };
    expect((await one.deliver(event)).status).toBe(0);
    expect(await one.ended()).toBe(-1);
    // The provider's retry.
    const retry = await two.deliver(event);
    expect([retry.status, retry.body["status"]]).toEqual([500, "failed"]);
    expect((await two.deliver({ event_id: "good", type: "good" })).body["status"]).toBe("processed");
    await one.restarted();
    expect((await one.deliver(event)).status).toBe(500);
    const admin = await connect(target);
    expect(await admin.read("select code, event_id, deliveries from hookonce.failures")).toEqual([
      { code: "handler_timeout", event_id: "hangs", deliveries: 2 },
    ]);
    expect(await admin.read("select from hookonce.interrupted_runs")).toHaveLength(0);
    await admin.drop();
  },
  STARTS_WITHIN_MS,
);
