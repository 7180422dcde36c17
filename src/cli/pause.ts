import type { StatusJson } from "../http/admin/shapes.ts";
import { HookonceError } from "../errors.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { EXIT } from "./exit.ts";
import { connectToServe } from "./run-job.ts";
import { say, sayJson } from "./terminal.ts";

export interface PauseFlags {
  reason?: string;
  json?: boolean;
  database?: string;
}

/** `hookonce pause NAME` and `hookonce resume NAME`. The next message sees the new state. */
export async function runPause(
  state: "open" | "paused",
  name: string,
  folder: string,
  { reason, json, database }: PauseFlags,
): Promise<number> {
  const command = state === "paused" ? "pause" : "resume";
  await using admin = await connectToServe(command, { folder, database });
  const { api } = admin.client;
  const { sources } = await answerOf<StatusJson>(await api.status.$get());
  if (sources.some((source) => source.name === name))
    throw new HookonceError(
      "unknown_destination",
      `"${name}" is a source. hookonce can ${command} a destination, but not a source.`,
    );
  const change = { state, ...(reason === undefined ? {} : { reason }) };
  const answer = await answerOf<{ name: string; state: string }>(
    await api.destinations[":name"].state.$put({ param: { name }, json: change }),
  );
  if (json === true) sayJson(JSON.stringify(answer));
  else if (state === "paused")
    say(`Paused ${visible(name)}. Its messages are kept. To go on: hookonce resume ${visible(name)}`);
  else say(`Resumed ${visible(name)}.`);
  return EXIT.done;
}
