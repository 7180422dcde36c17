import { Option } from "commander";
import { address } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ServeFlags } from "../serve.ts";
import { UsageError } from "../usage-error.ts";

export const serve = defineCommand<[], ServeFlags & { readonly production?: true }>({
  name: "serve",
  group: "Start",
  summary: "Receive webhooks",
  description: "Receive webhooks: apply migrations, load the handlers, listen.",
  takesFolder: "The inbox folder",
  options: [
    new Option(
      "--listen <host:port>",
      "Listen on this address, not on the config's; port 0 takes any free port",
    ).argParser(address),
    new Option("--database <path>", "Use this database, not the one that the config names"),
    new Option(
      "--dev",
      "For development: reload on save, and also serve unsigned sources, but only to this machine",
    ),
    new Option("--production").hideHelp(),
    new Option(
      "--accept-id-change",
      "Start even if a source is gone, or if its event ids come from another place",
    ),
    new Option("--init", "Make the inbox folder first if it has no hookonce.toml"),
  ],
  async run({ flags, folder }) {
    if (flags.production === true)
      throw new UsageError(
        "--production was removed, because it is the default: unsigned sources are served only with --dev. Leave it out.",
      );
    const { runServe } = await import("../serve.ts");
    return runServe(folder, flags);
  },
});
