import { createCommandSender } from "../../../src/outbox/command-sender.ts";
import { messageOf } from "./commands.ts";

/** Runs ./run.sh in a folder, says what was started, and never records it if asked so. The test kills it. */
const [folder = "", records] = process.argv.slice(2);

await createCommandSender({
  command: ["./run.sh"],
  inboxFolder: folder,
  environment: process.env,
  secretVariables: [],
  timeoutMs: 60_000,
  async onStarted(_message, started) {
    console.log(JSON.stringify(started));
    if (records === "never") await new Promise(() => {});
  },
}).send(messageOf("payload"), new AbortController().signal);
