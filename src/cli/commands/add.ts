import { Argument, Option } from "commander";
import type { Provider } from "../../providers/provider.ts";
import type { AddFlags } from "../add.ts";
import { commandLine, providerNamed, types, webUrl } from "../arguments.ts";
import { defineCommand } from "../command.ts";

export const add = defineCommand<[Provider, string[] | undefined], AddFlags>({
  name: "add",
  group: "Start",
  summary: "Add a source",
  description:
    "Add a source to hookonce.toml, and the name of its secret to .env. Never overwrites a file. Prints where to register the webhook, and what to do next.",
  arguments: [
    new Argument("<provider>", "The provider, such as stripe (for the list: hookonce providers)").argParser(
      providerNamed,
    ),
    new Argument(
      "[types...]",
      "Event types to handle; by default the provider's usual ones, and with --run all",
    ).argParser(types),
  ],
  options: [
    new Option(
      "--handlers",
      "Also write a starter handler for each event type; it fails until you have edited it",
    ),
    new Option(
      "--run <command>",
      "Also run this command for each event of these types. Writes a starter script if the file does not exist",
    ).argParser(commandLine),
    new Option("--name <source>", "Name of the source; by default the provider's name"),
    new Option("--public-url <url>", "URL that you give to the provider").argParser(webUrl),
  ],
  async run({ args: [provider, types = []], flags, folder }) {
    const { runAdd } = await import("../add.ts");
    return runAdd(provider, types, folder, flags);
  },
});
