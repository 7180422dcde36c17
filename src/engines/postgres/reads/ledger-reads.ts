import type { Reader } from "../../reader.ts";
import type { Change, KeptJob, Token } from "../../records.ts";
import type { Rollup, Span } from "../../rollups.ts";
import { SPAN_MS, SUMMED } from "../../rollup-sums.ts";
import { isClaimed } from "../claims.ts";
import { plain, sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";

type Ledger = Pick<
  Reader,
  "rollups" | "seen" | "matchedSecrets" | "audit" | "tokens" | "token" | "jobs" | "job" | "unendedJobs"
>;

/** What is recorded beside the events. */
export function ledgerReads(ask: Ask): Ledger {
  return {
    async rollups(span, { since, until, source }) {
      const rows = await ask<Summed>(sql`
        select at, source, ${SUMS} from (
          select at, source, ${COLUMNS} from hookonce.rollups
          where span = ${span} and at between ${since} and ${until}
          union all
          select at - at % ${SPAN_MS[span]}, source, ${COLUMNS} from hookonce.rollups where span = 'new') counted
        where at between ${since} and ${until} and ${source === undefined ? sql`true` : sql`source = ${source}`}
        group by at, source order by at, source`);
      return rows.map(rollupOf);
    },
    // A day, hour or minute in which the clock was ahead does not show the latest delivery before that. A shorter span
    // does.
    seen: (now) =>
      ask(sql`
        select source, max(last_at) as "lastDeliveryAt" from (
          select source, last_at from hookonce.rollups where span in ('new', 'day')
          union all ${seenIn("hour", now - 2 * SPAN_MS.day)}
          union all ${seenIn("minute", now - 2 * SPAN_MS.hour)}) seen
        where last_at between 1 and ${now} group by source order by source`),
    matchedSecrets: () => ask(sql`select source, secret, at from hookonce.secrets order by source, secret`),
    audit: (before, limit) =>
      ask<Change>(sql`
        select id, at, actor, action, target, reason, job, count from hookonce.audit
        where ${before === undefined ? sql`true` : sql`id < ${before}`} order by id desc limit ${limit}`),
    tokens: async () => (await ask<TokenRow>(sql`${TOKENS} order by id`)).map(tokenOf),
    async token(hash) {
      const row = await askOne<TokenRow>(ask, sql`${TOKENS} where hash = ${hash}`);
      return row === undefined ? undefined : tokenOf(row);
    },
    jobs: (limit) => ask<KeptJob>(sql`${JOBS} order by started_at desc, id desc limit ${limit}`),
    unendedJobs: () => ask<KeptJob>(sql`${JOBS} where ended_at is null order by started_at, id`),
    job: (id) => askOne<KeptJob>(ask, sql`${JOBS} where id = ${id}`),
  };
}

const JOBS = sql`
  select id, action, actor, started_at as "startedAt", ended_at as "endedAt", request, progress,
    ${plain(isClaimed("job", "jobs.id"))} as "isTaken" from hookonce.jobs`;

const TOKENS = sql`
  select name, hash, scopes, created_at as "createdAt", expires_at as "expiresAt", revoked_at as "revokedAt"
  from hookonce.tokens`;

type TokenRow = Omit<Token, "scopes"> & { readonly scopes: string };

const tokenOf = ({ scopes, ...token }: TokenRow): Token =>
  Object.assign(token, { scopes: JSON.parse(scopes) as string[] });

const COLUMNS = plain(SUMMED.join(", "));
// A sum of int8 is numeric.
const SUMS = plain(SUMMED.map((column) => `sum(${column})::int8 as ${column}`).join(", "));

const seenIn = (span: Span, since: number): Sql =>
  sql`select source, last_at from hookonce.rollups where span = ${span} and at >= ${since}`;

type Summed = Omit<Rollup, "handlerTimes"> & Readonly<Record<`t${number}`, number>>;

function rollupOf(row: Summed): Rollup {
  const { source, at, processed, duplicate, unhandled, held, ignored, stale, failed, refused } = row;
  const counts = { processed, duplicate, unhandled, held, ignored, stale, failed, refused };
  const handlerTimes = SUMMED.filter((name) => /^t\d+$/.test(name)).map(
    (name) => row[name as `t${number}`] ?? 0,
  );
  return { source, at, ...counts, handlerTimes };
}
