import { Argument, Option } from "commander";
import { duration } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { TestFlags } from "../test.ts";

export const test = defineCommand<[string | undefined, string[]], TestFlags>({
  name: "test",
  group: "Write handlers",
  summary: "Run *.test.ts beside the handlers",
  description:
    'Run the *.test.ts files below handlers/, with nothing installed. import { testInbox, fixtures } from "hookonce/test" gives a test an inbox on a temporary database. Your own database is not used, and no secret is needed.',
  arguments: [
    new Argument("[folder]", "The inbox folder"),
    new Argument("[filter...]", "Run only the files whose path contains one of these texts"),
  ],
  options: [
    new Option("-t, --test-name-pattern <regex>", "Run only the tests whose name matches"),
    new Option("--timeout <duration>", "How long each test may take (default: 5s)").argParser(duration),
    new Option("--bail", "Stop after the first failure"),
    new Option("--watch", "Run them again when a file of the folder changes"),
  ],
  async run({ args: [first, filters], flags, folder }) {
    const { runTest } = await import("../test.ts");
    return runTest(first, filters, flags, folder);
  },
});
