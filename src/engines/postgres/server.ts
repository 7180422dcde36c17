import { HookonceError, messageOf } from "../../errors.ts";
import { connectTo, type Connection, type Limits } from "./connection.ts";
import type { PostgresTarget } from "../../config/postgres.ts";
import { within } from "./deadline.ts";
import { stateOf, unavailable, withState } from "./trouble.ts";

/** The servers of a target, of which one is the primary. */
export interface Server {
  /**
   * Opens a connection to the primary. Once that has failed, calls fail at once for a moment: nothing queues up while
   * the server is away.
   *
   * @throws HookonceError `database_unreachable`
   */
  connect(limits?: Limits): Promise<Connection>;
}

/** After a failure, so long nobody tries again: twice as long each time, in milliseconds. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** How much longer the other servers may take once one has answered that it is a primary, in milliseconds. */
const OTHERS_MS = 1000;

interface Answer {
  readonly connection: Connection;
  readonly isStandby: boolean;
  /** Rises when a standby becomes the primary. 0 for a standby. */
  readonly timeline: number;
}

/** What a server says of itself. The timeline of the last checkpoint would be out of date right after a promotion. */
const WHAT_IT_IS = `
  select pg_is_in_recovery() as "isStandby",
    case when pg_is_in_recovery() then 0
      else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 end as timeline`;

export function createServer(target: PostgresTarget, now: () => number = () => performance.now()): Server {
  /** The highest timeline seen. An old primary that comes back says that it is one, too. */
  let highest = 0;
  let pauseMs = FIRST_PAUSE_MS;
  let failed: { readonly error: HookonceError; readonly until: number } | undefined;

  async function ask(server: PostgresTarget["servers"][number], limits: Limits): Promise<Answer> {
    const connection = await connectTo(target, server, limits);
    try {
      const [found] = await within(connection, target.connectTimeoutMs, () =>
        connection.read<Omit<Answer, "connection">>(WHAT_IT_IS),
      );
      if (found === undefined) throw new Error("the server has given no answer");
      return { connection, ...found };
    } catch (error) {
      await connection.drop();
      throw error;
    }
  }

  async function connectToPrimary(limits: Limits): Promise<Connection> {
    const answers: (Answer | Error | undefined)[] = target.servers.map(() => undefined);
    const asked = target.servers.map(async (server, index) => {
      const answer = await ask(server, limits).catch(asError);
      answers[index] = answer;
      if ("timeline" in answer && !answer.isStandby) return;
      throw new Error("it is no primary");
    });
    // Another one may have a higher timeline. One that does not answer is not waited for.
    const first = Promise.any(asked).then(
      () => Bun.sleep(target.servers.length === 1 ? 0 : OTHERS_MS),
      () => {},
    );
    await Promise.race([Promise.allSettled(asked), first]);
    const chosen = answers
      .filter((one) => one !== undefined && "timeline" in one)
      .filter(({ isStandby, timeline }) => !isStandby && timeline >= highest)
      .sort((a, b) => b.timeline - a.timeline)[0];
    const used = [...answers];
    // Those that are not used are closed, now or when they answer.
    asked.forEach((one, index) => {
      const drop = (): void => {
        const answer = answers[index];
        if (answer !== undefined && answer !== chosen && "timeline" in answer) void answer.connection.drop();
      };
      one.then(drop, drop);
    });
    if (chosen === undefined) throw unavailable("away", new Error(reasons(used)));
    highest = chosen.timeline;
    return chosen.connection;
  }

  function reasons(answers: readonly (Answer | Error | undefined)[]): string {
    return answers
      .map((answer, index) => {
        const { host = "", port = 0 } = target.servers[index] ?? {};
        return `${host}:${port} ${reasonOf(answer, highest)}`;
      })
      .join("; ");
  }

  return {
    async connect(limits = {}) {
      if (failed !== undefined && now() < failed.until) throw failed.error;
      try {
        const connection = await connectToPrimary(limits);
        failed = undefined;
        pauseMs = FIRST_PAUSE_MS;
        return connection;
      } catch (cause) {
        const error = cause instanceof HookonceError ? cause : unavailable("away", cause);
        if (failed === undefined || now() >= failed.until) {
          failed = { error, until: now() + pauseMs };
          pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
        }
        throw error;
      }
    },
  };
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(messageOf(error)));

/** A pooler in transaction mode gives a connection the statements that another one has prepared. */
function hintFor(error: Error): string {
  const isPooled = ["42P05", "26000"].includes(stateOf(error) ?? "");
  return isPooled ? ". Is there a pooler in transaction mode in between? Add prepare=false to the URL" : "";
}

function reasonOf(answer: Answer | Error | undefined, highest: number): string {
  if (answer === undefined) return "does not answer";
  if (answer instanceof HookonceError) return `refuses: ${messageOf(answer.cause)}`;
  if (answer instanceof Error) return `refuses: ${withState(answer)}${hintFor(answer)}`;
  if (answer.isStandby) return "is a standby";
  return `is an old primary, of timeline ${answer.timeline} and not ${highest}`;
}
