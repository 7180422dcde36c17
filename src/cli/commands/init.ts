import { Option } from "commander";
import { defineCommand } from "../command.ts";
import type { InitFlags } from "../init.ts";

export const init = defineCommand<[], InitFlags>({
  name: "init",
  group: "Start",
  summary: "Make an inbox folder that works",
  description: "Make an inbox folder that works. Never overwrites your files.",
  takesFolder:
    "The folder to make or to complete; with the path of a database, by default hookonce/ beside it",
  options: [
    new Option(
      "--database <path>",
      "Your application's own SQLite database; then no samples are written. Or a URL of PostgreSQL, as in postgres://app@db.example.com/shop?password=env:DB_PASSWORD",
    ),
  ],
  async run({ flags, folder, folderIsGiven }) {
    // Loaded only here, because it contains the types for editors.
    const { runInit } = await import("../init.ts");
    return runInit(folderIsGiven ? folder : undefined, flags);
  },
});
