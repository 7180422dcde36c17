import { connectAdmin, type Admin } from "../app/apply.ts";
import { openToLook, type LookOptions } from "../app/look.ts";
import type { JobJson } from "../http/admin/job-shapes.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { EXIT } from "./exit.ts";
import { say } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** How often to ask whether a job has ended, in milliseconds. */
const POLL_MS = 50;

/** Flags that may be given with `--stop`. */
const ALLOWED: ReadonlySet<string> = new Set(["stop", "folder", "database"]);

type Action = "apply" | "replay" | "discard" | "resend" | "forget";

/**
 * `--stop` of apply, replay, discard, resend and forget. It stops the jobs of a `serve` that have this action, also
 * those of other users, and waits until they have ended.
 */
export async function runStop(
  action: Action,
  ids: readonly string[],
  folder: string,
  flags: { readonly database?: string },
): Promise<number> {
  const others = Object.entries(flags).filter(([name, value]) => !ALLOWED.has(name) && value !== undefined);
  if (ids.length > 0 || others.length > 0)
    throw new UsageError(`--stop stops every running ${action}: leave out ids and other options`);
  const admin = await connectAdmin({ folder, database: flags.database });
  if (admin === undefined) return await sayInterrupted(action, { folder, database: flags.database });
  const wanted = (await runningJobs(admin)).filter((job) => job.action === action);
  if (wanted.length === 0) {
    say(`No ${action} is running.`);
    return EXIT.done;
  }
  const { jobs } = admin.client.api;
  for (const { id } of wanted) await answerOf(await jobs[":id"].$delete({ param: { id } }));
  for (const { id } of wanted) {
    let job = await answerOf<JobJson>(await jobs[":id"].$get({ param: { id } }));
    while (job.state === "running") {
      await Bun.sleep(POLL_MS);
      job = await answerOf<JobJson>(await jobs[":id"].$get({ param: { id } }));
    }
    say(`${job.state === "stopped" ? "Stopped" : "Ended"}: ${inWords(job)}.`);
  }
  return EXIT.done;
}

/** Only `serve` ends a job. Without it, those that will go on at its next start are named. */
async function sayInterrupted(action: Action, options: LookOptions): Promise<number> {
  await using admin = await openToLook(options);
  const wanted = (await runningJobs(admin)).filter((job) => job.action === action);
  if (wanted.length === 0) {
    say(`No ${action} is running.`);
    return EXIT.done;
  }
  for (const job of wanted) {
    const what = `this ${action} goes on when it starts: ${inWords(job)}`;
    say(`serve is not running; ${what}. To stop it then: hookonce ${action} --stop`);
  }
  return EXIT.failed;
}

/** The jobs that change events now. */
export async function runningJobs({ client }: Pick<Admin, "client">): Promise<readonly JobJson[]> {
  const { items } = await answerOf<{ items: readonly JobJson[] }>(await client.api.jobs.$get());
  return items.filter((job) => job.state === "running" && !job.dry_run);
}

export function runningLines(jobs: readonly JobJson[]): string[] {
  return jobs.map((job) => {
    const stop = job.action === "import" ? "" : ` To stop it: hookonce ${job.action} --stop`;
    return `Running: ${inWords(job)}.${stop}`;
  });
}

function inWords({ action, target, actor, groups, at_least: atLeast }: JobJson): string {
  const sum = (name: "processed" | "discarded" | "resent" | "forgotten" | "failed"): number =>
    groups.reduce((total, group) => total + group[name], 0);
  const done = {
    discard: "discarded",
    resend: "resent",
    apply: "processed",
    replay: "processed",
    forget: "forgotten",
  } as const;
  const name = action === "import" ? "processed" : done[action];
  const did = `${sum(name)} ${name}`;
  const failed = sum("failed") === 0 ? "" : `, ${sum("failed")} failed`;
  const least = atLeast === true ? "at least " : "";
  const result = action === "import" ? "" : `, ${least}${did}${failed}`;
  return `${action} ${visible(target)} by ${visible(actor)}${result}`;
}
