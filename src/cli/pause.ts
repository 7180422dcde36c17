import { formatDuration } from "../config/duration.ts";
import { nearest } from "../config/nearest.ts";
import { HookonceError } from "../errors.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import type { SourceStateJson, StatusJson } from "../http/admin/shapes.ts";
import { sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { shortTime } from "./moments.ts";
import { connectToServe } from "./run-job.ts";
import { say, sayJson } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface PauseFlags {
  refuse?: boolean;
  /** In milliseconds. */
  for?: number;
  reason?: string;
  json?: boolean;
  database?: string;
}

export interface ResumeFlags {
  stopOnFailure?: boolean;
  json?: boolean;
  database?: string;
}

/** `hookonce pause NAME`. The next delivery, or message, sees the new state. */
export function runPause(name: string, folder: string, flags: PauseFlags): Promise<number> {
  const { refuse = false, for: time, reason } = flags;
  return change("pause", name, folder, flags, {
    async source(client, { paused }) {
      const before = paused.find((one) => one.name === name);
      const state = await putSource(client, name, {
        state: refuse ? "refusing" : "held",
        ...(time === undefined ? {} : { for: formatDuration(time) }),
        ...(reason === undefined ? {} : { reason }),
      });
      return [state, pausedLine(state, before, folder)];
    },
    async destination(client, { destinations }) {
      const option = refuse ? "--refuse" : time === undefined ? undefined : "--for";
      if (option !== undefined)
        throw new UsageError(`${option} is for sources, and ${visible(name)} is a destination.`);
      const wasPaused = destinations.some((one) => one.name === name && one.state === "paused");
      const answer = await putDestination(client, name, "paused", reason);
      const did = wasPaused ? `${visible(name)} was paused already.` : `Paused ${visible(name)}.`;
      return [answer, `${did} Its messages are kept. To go on: hookonce resume ${named(name, folder)}`];
    },
  });
}

/** `hookonce resume NAME`. Returns once a source is resuming. */
export function runResume(name: string, folder: string, flags: ResumeFlags): Promise<number> {
  const { stopOnFailure } = flags;
  return change("resume", name, folder, flags, {
    async source(client, { sources, owed }) {
      const isOpen = sources.some((one) => one.name === name && one.state === "open");
      const stop = stopOnFailure === undefined ? {} : { stop_on_failure: stopOnFailure };
      const state = await putSource(client, name, { state: "open", ...stop });
      const failed = owed.filter(({ source, outcome }) => source === name && outcome === "failed");
      return [state, isOpen ? `${visible(name)} was not paused.` : resumedLine(state, failed, folder)];
    },
    async destination(client, { destinations }) {
      if (stopOnFailure !== undefined)
        throw new UsageError(`--stop-on-failure is for sources, and ${visible(name)} is a destination.`);
      const wasPaused = destinations.some((one) => one.name === name && one.state === "paused");
      const answer = await putDestination(client, name, "open");
      return [answer, wasPaused ? `Resumed ${visible(name)}.` : `${visible(name)} was not paused.`];
    },
  });
}

/** Does it, and returns the answer with the line that says so. `before` is how things were. */
type Done = (client: AdminClient, before: StatusJson) => Promise<readonly [answer: object, line: string]>;

async function change(
  command: "pause" | "resume",
  name: string,
  folder: string,
  { json, database }: Pick<PauseFlags, "json" | "database">,
  how: { readonly source: Done; readonly destination: Done },
): Promise<number> {
  await using admin = await connectToServe(command, { folder, database });
  const { client } = admin;
  const before = await answerOf<StatusJson>(await client.api.status.$get());
  const { sources, paused, destinations } = before;
  const [ofSources, ofDestinations] = [[...sources, ...paused], destinations].map((all) =>
    all.map((one) => one.name),
  ) as [string[], string[]];
  const done = ofSources.includes(name)
    ? how.source
    : ofDestinations.includes(name)
      ? how.destination
      : undefined;
  if (done === undefined) {
    const hint = nearest(name, [...new Set([...ofSources, ...ofDestinations])]);
    throw new HookonceError(
      "unknown_source",
      `There is no source or destination "${name}" in hookonce.toml; ${hint}`,
    );
  }
  const [answer, line] = await done(client, before);
  if (json === true) sayJson(JSON.stringify(answer));
  else say(line);
  return EXIT.done;
}

async function putSource(
  { api }: AdminClient,
  name: string,
  json: {
    readonly state: "open" | "held" | "refusing";
    readonly for?: string;
    readonly reason?: string;
    readonly stop_on_failure?: boolean;
  },
): Promise<SourceStateJson> {
  return answerOf<SourceStateJson>(await api.sources[":name"].state.$put({ param: { name }, json }));
}

async function putDestination(
  { api }: AdminClient,
  name: string,
  state: "open" | "paused",
  reason?: string,
): Promise<{ name: string; state: string }> {
  const json = { state, ...(reason === undefined ? {} : { reason }) };
  return answerOf(await api.destinations[":name"].state.$put({ param: { name }, json }));
}

function named(name: string, folder: string): string {
  return `${visible(name)}${folder === "." ? "" : ` --folder ${shellWord(folder)}`}`;
}

function pausedLine(
  { name, state, since, until }: SourceStateJson,
  before: SourceStateJson | undefined,
  folder: string,
): string {
  const resume = `hookonce resume ${named(name, folder)}`;
  const what =
    state === "refusing"
      ? "Its deliveries are answered 503 and not stored."
      : "Its events are stored, answered 200, and not run.";
  const end =
    until === null
      ? `To go on: ${resume}`
      : `It resumes by itself at ${shortTime(until, Date.now())}, or with: ${resume}`;
  const did =
    before?.state === state && since !== null
      ? `${visible(name)} was paused already, since ${shortTime(since, Date.now())}.`
      : `Paused ${visible(name)}.`;
  return `${did} ${what}\n${end}`;
}

function resumedLine(
  { name, state, held }: SourceStateJson,
  failed: readonly StatusJson["owed"][number][],
  folder: string,
): string {
  if (state === "open") return `Resumed ${visible(name)}. Nothing is held.`;
  const total = [...failed, held].reduce((sum, { count }) => sum + count, 0);
  const parts = [
    ...(failed.length > 0 ? [`${sumOf(failed)} failed`] : []),
    ...(held.count > 0 ? [`${sumOf([held])} held`] : []),
  ];
  const status = `hookonce status${folder === "." ? "" : ` --folder ${shellWord(folder)}`}`;
  return `Resuming ${visible(name)}: ${parts.join(" and ")} ${total === 1 ? "event runs" : "events run"} now, in the order received.\nTo see what is left: ${status}`;
}
