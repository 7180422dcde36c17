import type { PostgresTarget } from "../../config/postgres.ts";
import { HookonceError } from "../../errors.ts";
import { createServer } from "./server.ts";
import { stateOf, withState } from "./trouble.ts";
import type { Value, Wire } from "./wire.ts";

/** An empty database for a test. Its types for users are in templates/postgres-types.macro.ts. */
export interface Scratch {
  /** Its name on the server. */
  readonly name: string;
  readonly db: ScratchQuery;
  /** Ends all connections to the database, and removes it. */
  drop(): Promise<void>;
}

/** A query in a template literal returns its rows. */
export interface ScratchQuery {
  (text: TemplateStringsArray, ...values: readonly Value[]): Promise<object[]>;
  /** Runs several statements, without values. */
  script(text: string): Promise<void>;
}

/**
 * Makes an empty database on the server of another one.
 *
 * @throws HookonceError `config_invalid` if the user may not do that; `database_unreachable`
 */
export async function createScratch(target: PostgresTarget): Promise<Scratch> {
  const name = `hookonce_test_${crypto.randomUUID().replaceAll("-", "")}`;
  const outside = await createServer(target).connect();
  try {
    await create(outside, name, target);
  } catch (error) {
    await outside.drop();
    throw error;
  }
  const remove = async (): Promise<void> => {
    // A test that failed may have left connections behind.
    await outside.send(`drop database if exists ${name} with (force)`);
    await outside.drop();
  };
  try {
    const wire = await createServer({ ...target, database: name }).connect();
    return {
      name,
      db: queryOf(wire),
      async drop() {
        await wire.drop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const INSUFFICIENT_PRIVILEGE = "42501";

async function create(wire: Wire, name: string, { user, name: server }: PostgresTarget): Promise<void> {
  try {
    // template1 may have tables of the user, and another encoding.
    await wire.send(`create database ${name} template template0 encoding 'UTF8'`);
  } catch (error) {
    if (stateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new HookonceError(
      "config_invalid",
      `hookonce test makes a database for each test on ${server}, and the user "${user}" may not do that: ${withState(error)}. Run alter role "${user}" createdb, or name a server for tests with HOOKONCE_TEST_DATABASE=postgres://….`,
      { cause: error },
    );
  }
}

function queryOf(wire: Wire): ScratchQuery {
  const query = (text: TemplateStringsArray, ...values: readonly Value[]): Promise<object[]> =>
    wire.read(
      text.reduce((before, part, index) => `${before}$${index}${part}`),
      values,
    );
  return Object.assign(query, { script: (text: string) => wire.script(text) });
}
