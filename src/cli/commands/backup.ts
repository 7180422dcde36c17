import { Argument, Option } from "commander";
import { nonEmpty } from "../arguments.ts";
import type { BackupFlags } from "../backup.ts";
import { defineCommand } from "../command.ts";
import { look } from "./look-options.ts";

export const backup = defineCommand<[string], BackupFlags>({
  name: "backup",
  group: "Manage",
  summary: "Copy the inbox while it runs",
  description:
    "Write the inbox folder and a consistent copy of its database to one tar file, while serve runs. Secrets (such as .env*, secrets/, *.key and each file: in the config) are left out, and named. To prove that a backup starts: hookonce check --backup FILE",
  arguments: [
    new Argument("<file>", "The file to make, such as inbox.tar; - is standard output").argParser(nonEmpty),
  ],
  options: [
    new Option("--secrets", "Put the secrets into the backup, too"),
    new Option("--overwrite", "Replace FILE if it exists"),
    look.database,
  ],
  async run({ args: [file], flags, folder }) {
    const { runBackup } = await import("../backup.ts");
    return runBackup(file, folder, flags);
  },
});
