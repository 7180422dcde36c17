import { Option } from "commander";
import { defineCommand } from "../command.ts";
import type { StatusFlags } from "../status.ts";

export const status = defineCommand<[], StatusFlags>({
  name: "status",
  group: "Look",
  summary: "Sources, destinations, what is owed, disk",
  description:
    "Show whether hookonce serve is running and can store deliveries, the sources, the destinations, what is owed, and how large the database is.",
  takesFolder: "The inbox folder",
  options: [
    new Option("--json", "Print one JSON object"),
    new Option("--database <path>", "The database to use, in place of the one in the config"),
  ],
  async run({ flags, folder }) {
    const { runStatus } = await import("../status.ts");
    return runStatus(folder, flags);
  },
});
