import { Argument, Option } from "commander";
import { duration, nonEmpty, scopes } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { TokenFlags } from "../token.ts";
import { look } from "./look-options.ts";

export const token = defineCommand<["create" | "list" | "revoke", string | undefined], TokenFlags>({
  name: "token",
  group: "Manage",
  summary: "Tokens for the page and the API",
  description:
    "Make, list or revoke tokens for the page and the API. A new token is shown only once, and nothing else goes to standard output.",
  arguments: [
    new Argument("<action>", "What to do").choices(["create", "list", "revoke"]),
    new Argument("[name]", "The token to revoke"),
  ],
  options: [
    new Option("--name <name>", "Who or what uses the token").argParser(nonEmpty),
    new Option("--scopes <list>", "What it may do: read, steer, forget (default: read)").argParser(scopes),
    new Option("--expires <duration>", "How long it works, such as 90d (default: forever)").argParser(
      duration,
    ),
    look.json,
    look.database,
  ],
  async run({ args: [action, name], flags, folder }) {
    const { runToken } = await import("../token.ts");
    return runToken(action, name, folder, flags);
  },
});
