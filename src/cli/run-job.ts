import { writeSync } from "node:fs";
import { resolve } from "node:path";
import { connectAdmin, type Admin, type AdminOptions } from "../app/apply.ts";
import { endProcess } from "../app/end-process.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { jobOf } from "../http/admin/job-json.ts";
import type { JobJson } from "../http/admin/job-shapes.ts";
import type { JobView } from "../inbox/background-jobs.ts";
import { createJsonLogger } from "../logging/log.ts";
import { readableLine } from "../logging/readable-line.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { EXIT } from "./exit.ts";
import { startCommand } from "./start-command.ts";
import { complain } from "./terminal.ts";

/** What commands that change events have in common: they start a job, and wait until it has ended. */

/** How often to ask for the progress of the job, in milliseconds. */
const POLL_MS = 25;

/** The first answers come sooner, because most jobs are short. */
const FIRST_POLL_MS = 10;

/** How long to wait for a `serve` that wanted the database, in milliseconds. */
const MAX_WAIT_MS = 15_000;

type RequestJson = Parameters<Admin["client"]["api"]["jobs"]["$post"]>[0]["json"];

/** How to open a folder if no `serve` runs. */
export function openingOf(given: Pick<AdminOptions, "folder" | "database" | "readOnly">): AdminOptions {
  return {
    ...given,
    log: createJsonLogger("info", (line) => {
      const fields = JSON.parse(line) as Record<string, unknown>;
      // Below a warning, only what handlers print is shown.
      if (fields["level"] === "info" && fields["event"] === undefined) return;
      complain(readableLine(fields));
    }),
    onFatal(error) {
      writeSync(2, `hookonce: the database can no longer be trusted: ${visible(messageOf(error))}\n`);
      endProcess(EXIT.failed);
    },
  };
}

/** @throws HookonceError `not_serving` if no `serve` runs, `serve_unreachable`, `permission_denied` */
export async function connectToServe(
  command: string,
  { folder, database }: Pick<AdminOptions, "folder" | "database">,
): Promise<Admin> {
  const admin = await connectAdmin({ folder, database });
  if (admin !== undefined) return admin;
  throw new HookonceError(
    "not_serving",
    `No hookonce serve is running on ${resolve(folder)}, and ${command} needs one. Start it: ${startCommand(folder)}`,
  );
}

/** Aborted by Ctrl+C. The command then stops its job and says how far it came. */
export function stopOnSignal(): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}

/** @returns the ended job, and whether it was stopped because a `serve` wants the database */
export async function runJob(
  { client, isWanted }: Pick<Admin, "client" | "isWanted">,
  json: RequestJson,
  stop: AbortSignal,
  onView: (view: JobView) => void,
): Promise<{ view: JobView; yielded: boolean }> {
  // An import's events are gone with the process, and a dry run is not recorded.
  const goesOn = json.action !== "import" && json.dry_run !== true;
  const begun = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((cause: unknown) => {
      if (!(cause instanceof HookonceError) || cause.code !== "shutting_down") throw cause;
      const rest = goesOn
        ? "The job continues when serve starts again. Do not run the command again"
        : "Run the command again";
      throw new HookonceError(
        "shutting_down",
        `hookonce serve stopped before the command was done. What was done stays done. ${rest}.`,
        { cause },
      );
    });
  const post = client.api.jobs.$post({ json });
  const { id } = await answerOf<{ id: string }>(await (goesOn ? post : begun(post)));
  const param = { id };
  let yielded = false;
  let stopping = false;
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 2, POLL_MS)) {
    const view = jobOf(await answerOf<JobJson>(await begun(client.api.jobs[":id"].$get({ param }))));
    onView(view);
    if (view.state !== "running") return { view, yielded: yielded && view.state === "stopped" };
    if (!stopping && (stop.aborted || isWanted())) {
      stopping = true;
      yielded = !stop.aborted;
      await begun(client.api.jobs[":id"].$delete({ param }));
    }
    await Bun.sleep(wait);
  }
}

/** @param again the command that goes on later */
export async function waitForServe(options: AdminOptions, again: string): Promise<Admin> {
  const deadline = performance.now() + MAX_WAIT_MS;
  while (performance.now() < deadline) {
    const admin = await connectAdmin(options).catch((error: unknown) => {
      // It is still starting.
      if (error instanceof HookonceError && error.code === "serve_unreachable") return undefined;
      throw error;
    });
    if (admin !== undefined) return admin;
    await Bun.sleep(POLL_MS);
  }
  throw new HookonceError(
    "database_in_use",
    `Another hookonce asked for the database but did not start. Run ${again} again. What was done stays done.`,
  );
}
