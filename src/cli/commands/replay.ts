import { Argument } from "commander";
import { ids } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { SteerFlags } from "../steer.ts";
import { look } from "./look-options.ts";
import { steer } from "./steer-options.ts";

export const replay = defineCommand<[string[] | undefined], SteerFlags>({
  name: "replay",
  group: "Act",
  summary: "Run processed events again",
  description:
    "Run the handlers of processed events again. What they have changed is changed a second time, so this can double an effect. It needs a reason and a running serve. To run what is owed, use hookonce apply.",
  arguments: [new Argument("[ids...]", "Only these events").argParser(ids)],
  options: [
    look.source,
    look.type,
    steer.since,
    look.until,
    look.search,
    steer.limit,
    steer.reason,
    steer.evenStale,
    steer.yes,
    steer.dryRun,
    steer.stop,
    look.json,
    look.database,
  ],
  async run({ args: [given = []], flags, folder }) {
    if (flags.stop === true) {
      const { runStop } = await import("../stop-jobs.ts");
      return runStop("replay", given, folder, flags);
    }
    const { runSteer } = await import("../steer.ts");
    return runSteer("replay", given, folder, flags);
  },
});
