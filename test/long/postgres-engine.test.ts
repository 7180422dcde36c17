import { beforeAll } from "bun:test";
import { harness } from "../conformance/postgres.ts";
import { engineEndurance } from "../conformance/suite.ts";
import { describeUnless, onlyInLongRun } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInLongRun();

describeUnless(missing, "the engine on a real server", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);
  engineEndurance("PostgreSQL", harness, { histories: 200, kills: 10 });
});
