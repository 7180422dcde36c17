import { defineCommand } from "../command.ts";
import type { FailuresFlags } from "../failures.ts";
import { look } from "./look-options.ts";

export const failures = defineCommand<[], FailuresFlags>({
  name: "failures",
  group: "Look",
  summary: "What fails, grouped by handler and error",
  description:
    "Show what has failed and is still owed, grouped by handler and error. With --json, or with a filter for single events, it lists one failure per event.",
  options: [
    look.source,
    look.type,
    look.since,
    look.until,
    look.search,
    look.limit,
    look.json,
    look.database,
  ],
  async run({ flags, folder }) {
    const { runFailures } = await import("../failures.ts");
    return runFailures(folder, flags);
  },
});
