import { Argument } from "commander";
import { ids } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { SteerFlags } from "../steer.ts";
import { look } from "./look-options.ts";
import { message } from "./message-options.ts";
import { steer } from "./steer-options.ts";

export const discard = defineCommand<[string[] | undefined], SteerFlags>({
  name: "discard",
  group: "Act",
  summary: "Give up on owed events, or on unsent messages",
  description:
    "Give up on owed events: they no longer run, and the provider's next delivery is a duplicate. It needs a reason. To run one after all, use hookonce apply ID --reason TEXT. With ids of messages (msg_…), --destination or --state, give up on unsent messages instead. They are not sent, unless you send them again with hookonce resend.",
  arguments: [new Argument("[ids...]", "Only these events, or these messages").argParser(ids)],
  options: [
    look.source,
    look.type,
    steer.outcome,
    steer.since,
    look.until,
    look.search,
    steer.limit,
    message.destination,
    message.state,
    steer.reason,
    steer.yes,
    steer.dryRun,
    steer.stop,
    look.json,
    look.database,
  ],
  async run({ args: [given = []], flags, folder }) {
    if (flags.stop === true) {
      const { runStop } = await import("../stop-jobs.ts");
      return runStop("discard", given, folder, flags);
    }
    const { runSteer } = await import("../steer.ts");
    return runSteer("discard", given, folder, flags);
  },
});
