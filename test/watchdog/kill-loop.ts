import { binary, ensureBinary } from "../crash/server.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { service, type Row, type Service } from "./service.ts";

export interface KillReport {
  /** How often the process was killed in the middle of a run. */
  readonly interruptedRuns: number;
  /** Events that were answered 200. */
  readonly applied: number;
  readonly quarantined: readonly Row[];
  readonly failures: readonly Row[];
  /** Events without exactly one effect. */
  readonly wrong: readonly Row[];
}

/** How many deliveries are in flight. A handler runs nearly all of the time. */
const CLIENTS = 8;

/**
 * Kills the compiled binary at random moments while events arrive whose handler takes 1 ms. As a provider
 * does, the clients deliver what was not answered again, at once after the start.
 */
export async function killLoop(rounds: number): Promise<KillReport> {
  await ensureBinary();
  await using it = await service(
    {
      "migrations/0001.sql": TABLES,
      "handlers/default/paid.ts": ts("effect('paid'); Bun.sleepSync(1);"),
    },
    (folder) => [binary, "serve", folder, "--dev", "--listen", "127.0.0.1:0"],
  );
  let next = 0;
  let applied = 0;
  let interruptedRuns = 0;
  const owed = new Set<string>();
  const client = async (round: { over: boolean }): Promise<void> => {
    while (!round.over) {
      const [id = `evt_${next++}`] = owed;
      owed.delete(id);
      const { status } = await it.deliver({ event_id: id, type: "paid" });
      if (status === 200) applied++;
      else owed.add(id);
    }
  };
  for (let n = 0; n < rounds; n++) {
    const round = { over: false };
    const clients = Array.from({ length: CLIENTS }, () => client(round));
    await Bun.sleep(20 + Math.random() * 300);
    it.server.signal("SIGKILL");
    round.over = true;
    await Promise.all(clients);
    await it.restarted();
    if (it.log().some(({ msg }) => String(msg).startsWith("hookonce ended while this handler ran")))
      interruptedRuns++;
  }
  for (const id of owed) if ((await it.deliver({ event_id: id, type: "paid" })).status === 200) applied++;
  return { interruptedRuns, applied, ...outcomeOf(it) };
}

function outcomeOf(it: Service): Pick<KillReport, "quarantined" | "failures" | "wrong"> {
  return {
    quarantined: it.rows("select * from hookonce_interrupted_runs"),
    failures: it.rows("select event_id, code from hookonce_failures"),
    wrong: it.rows(
      `select e.event_id, count(f.event_id) as effects from hookonce_events e
       left join effects f on f.event_id = e.event_id group by e.event_id having effects != 1`,
    ),
  };
}
