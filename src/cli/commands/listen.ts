import { Option } from "commander";
import { momentOrAgo, paths } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { ListenFlags } from "../listen.ts";
import { look } from "./look-options.ts";

export const listen = defineCommand<[], ListenFlags>({
  name: "listen",
  group: "Write handlers",
  summary: "Bring live events here, signed again",
  description:
    "Bring the events of a running serve to a URL or into this inbox, signed again with the secrets of this folder. Every verified event whose body is stored is brought once, whatever its outcome, in the order received. The first run brings the events that arrive from then on, and each later run goes on where the last one ended. An event is sent again until the receiver answers, whatever the answer is.",
  options: [
    new Option(
      "--from <url>",
      "The page of a serve elsewhere; its token, with the scope read, is in HOOKONCE_TOKEN (default: the serve of this folder)",
    ),
    new Option(
      "--to <url>",
      "Where the events go; {source} is the source's name (default: the serve of this folder)",
    ),
    new Option(
      "--since <time>",
      "Begin with the events received at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h",
    ).argParser(momentOrAgo),
    look.source,
    look.type,
    new Option("--redact <path>", "Mask a value, as in body:$.data.email; may be repeated").argParser(paths),
    look.json,
    look.database,
  ],
  async run({ flags, folder }) {
    const { runListen } = await import("../listen.ts");
    return runListen(folder, flags);
  },
});
