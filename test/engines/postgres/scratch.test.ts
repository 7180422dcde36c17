import { expect, test } from "bun:test";
import { createScratch } from "../../../src/engines/postgres/scratch.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { refusalOf } from "../../support/test-inbox.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

describeUnless(why, "a database for a test", () => {
  test(
    "is empty, answers queries, and is removed although somebody is connected",
    async () => {
      const { target } = await sharedCluster();
      const scratch = await createScratch(target);
      await scratch.db.script(
        "create table credits (customer text, cents bigint); insert into credits values ('ada', 5)",
      );
      expect(await scratch.db`select * from credits where customer = ${"ada"} and cents > ${1}`).toEqual([
        { customer: "ada", cents: 5 },
      ]);
      const other = await connect({ ...target, database: scratch.name });
      await scratch.drop();
      await other.drop();
      const wire = await connect(target);
      const { rows } = await wire.send("select 1 from pg_database where datname = $1", [scratch.name]);
      await wire.drop();
      expect(rows).toEqual([]);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "is refused with a remedy if the user may not make one",
    async () => {
      const { target } = await sharedCluster();
      const wire = await connect(target);
      await wire.script("create role app login");
      await wire.drop();
      const { code, message } = await refusalOf(() => createScratch({ ...target, user: "app" }));
      expect(code).toBe("config_invalid");
      expect(message).toContain(
        'Run alter role "app" createdb, or name a server for tests with HOOKONCE_TEST_DATABASE',
      );
    },
    STARTS_WITHIN_MS,
  );
});
