import { beforeAll } from "bun:test";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";
import { leaveTheSameTables } from "./both-engines.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();
if (missing === undefined) beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

// test/long/both-engines.test.ts has more of them.
testUnless(
  missing,
  "a history gets the same answers of both engines, and leaves the same rows in every table",
  () => leaveTheSameTables(6),
  STARTS_WITHIN_MS,
);
