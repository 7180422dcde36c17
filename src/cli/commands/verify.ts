import { Option } from "commander";
import { moment } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { VerifyFlags } from "../verify.ts";

export const verify = defineCommand<[], VerifyFlags>({
  name: "verify",
  group: "Write handlers",
  summary: "Find out why a delivery was refused",
  description:
    "Find out why a delivery was refused: verify the last one that the running serve refused, or a saved request, and name what is wrong.",
  options: [
    new Option("--source <name>", "The source that the request was sent to"),
    new Option(
      "--last",
      "The last delivery that the running serve refused; with --source, the last of that source",
    ),
    new Option(
      "--request <file>",
      "The request as it arrived: request line, headers, a blank line, the raw body",
    ),
    new Option("--headers <file>", "In place of --request: the headers, one per line or as a JSON object"),
    new Option("--body <file>", "With --headers: the raw body"),
    new Option("--url <url>", "The URL that was requested, if the file does not contain it"),
    new Option("--at <time>", "Verify as of this time: ISO 8601 or Unix seconds (default: now)").argParser(
      moment,
    ),
    new Option("--log <file>", "The JSON log of hookonce serve: shows whether the clock is wrong"),
  ],
  async run({ flags, folder }) {
    const { runVerify } = await import("../verify.ts");
    return runVerify(folder, flags);
  },
});
