import { Option } from "commander";
import { nonEmpty } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ReloadFlags } from "../reload.ts";
import { look } from "./look-options.ts";

export const reload = defineCommand<[], ReloadFlags>({
  name: "reload",
  group: "Act",
  summary: "Load config and handlers without losing a request",
  description:
    "Make a running serve load hookonce.toml, .env, secrets and handlers again, with everything that the handlers import. What check refuses is refused, and what was loaded before stays in use. Afterwards the handlers are tried as check tries them, and warnings are shown.",
  takesFolder: "The inbox folder",
  options: [
    new Option(
      "--drop-source <name>",
      "Remove this source even if its events are owed or may be retried; may be given several times",
    ).argParser((name: string, before: string[] | undefined) => [...(before ?? []), nonEmpty(name)]),
    new Option("--all", "Also make all other nodes on the same PostgreSQL database load their folders"),
    look.json,
    look.database,
  ],
  async run({ flags, folder }) {
    const { runReload } = await import("../reload.ts");
    return runReload(folder, flags);
  },
});
