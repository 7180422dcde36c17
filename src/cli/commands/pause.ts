import { Argument, Option } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { PauseFlags } from "../pause.ts";
import { look } from "./look-options.ts";

const name = new Argument("<name>", "The destination").argParser(nonEmpty);

export const pause = defineCommand<[string], PauseFlags>({
  name: "pause",
  group: "Act",
  summary: "Stop sending to a destination",
  description:
    "Send nothing to a destination until hookonce resume. Its messages are kept, also over a restart. Attempts that have begun go on. It needs a running serve.",
  arguments: [name],
  options: [
    new Option("--reason <text>", "Why; shown in status and kept in the audit list").argParser(nonEmpty),
    look.json,
    look.database,
  ],
  async run({ args: [destination], flags, folder }) {
    const { runPause } = await import("../pause.ts");
    return runPause("paused", destination, folder, flags);
  },
});

export const resume = defineCommand<[string], PauseFlags>({
  name: "resume",
  group: "Act",
  summary: "Send to a paused destination again",
  description:
    "Send the messages of a paused destination, the oldest first. A destination that is failing is tried at once. It needs a running serve.",
  arguments: [name],
  options: [look.json, look.database],
  async run({ args: [destination], flags, folder }) {
    const { runPause } = await import("../pause.ts");
    return runPause("open", destination, folder, flags);
  },
});
