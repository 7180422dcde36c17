import { Argument, Option } from "commander";
import { duration, nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { PauseFlags, ResumeFlags } from "../pause.ts";
import { look } from "./look-options.ts";

const name = new Argument("<name>", "A source or a destination").argParser(nonEmpty);

export const pause = defineCommand<[string], PauseFlags>({
  name: "pause",
  group: "Act",
  summary: "Store the events of a source without running them",
  description:
    "Pause a source: its events are stored and answered 200, and run in the order received after hookonce resume. Or pause a destination: its messages are kept. Both survive a restart. It needs a running serve.",
  arguments: [name],
  options: [
    new Option("--refuse", "Source: answer its deliveries 503 instead of storing them"),
    new Option("--for <time>", "Source: resume by itself after this time, such as 2h").argParser(duration),
    new Option("--reason <text>", "Why; shown in status and kept in the audit list").argParser(nonEmpty),
    look.json,
    look.database,
  ],
  async run({ args: [one], flags, folder }) {
    const { runPause } = await import("../pause.ts");
    return runPause(one, folder, flags);
  },
});

export const resume = defineCommand<[string], ResumeFlags>({
  name: "resume",
  group: "Act",
  summary: "Run what is held, in order",
  description:
    "Resume a source: what is held runs in the order received, and then its deliveries run again. Or resume a destination: its messages are sent, the oldest first. The command does not wait for that. It needs a running serve.",
  arguments: [name],
  options: [
    new Option("--stop-on-failure", "Source: pause it again when an event fails"),
    look.json,
    look.database,
  ],
  async run({ args: [one], flags, folder }) {
    const { runResume } = await import("../pause.ts");
    return runResume(one, folder, flags);
  },
});
