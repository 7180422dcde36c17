import { beforeAll } from "bun:test";
import { leaveTheSameTables } from "../properties/both-engines.ts";
import { onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInLongRun();
if (missing === undefined) beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

testUnless(
  missing,
  "300 histories get the same answers of both engines, and leave the same rows in every table",
  () => leaveTheSameTables(300),
  1_200_000,
);
