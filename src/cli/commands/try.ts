import { Argument, Option } from "commander";
import { count, nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { TryFlags } from "../try.ts";
import { look } from "./look-options.ts";

export const tryCommand = defineCommand<[string], TryFlags>({
  name: "try",
  group: "Write handlers",
  summary: "Run a handler on real events, roll back, show what it did",
  description:
    "Run a handler on stored events and roll back. Shows the rows before and after, JSON paths without a value, the statements, and the reply. By default it runs on the newest stored event, or on the provider's sample if none is stored. The database stays as it is. Requests that the handler sends and files that it writes are not rolled back. Exits with 1 if the handler failed or there was nothing to try.",
  arguments: [
    new Argument("<handler>", "Its path, such as handlers/stripe/invoice.paid.sql").argParser(nonEmpty),
  ],
  options: [
    new Option("--event <id>", "Run it on this stored event").argParser(nonEmpty),
    new Option("--last [n]", "Run it on the newest stored events of its type (default: 1)").argParser(count),
    new Option("--sample <type>", "Run it on the provider's sample of this type").argParser(nonEmpty),
    new Option("--data <file>", "Run it on an event with this body, such as a JSON file"),
    new Option("--source <name>", "The source of the event").argParser(nonEmpty),
    new Option("--watch", "Run it again when the handler, its imports or the migrations change"),
    look.json,
    look.database,
  ],
  async run({ args: [handler], flags, folder }) {
    const { runTry } = await import("../try.ts");
    return runTry(handler, folder, flags);
  },
});
