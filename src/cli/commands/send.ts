import { Argument, Option } from "commander";
import { count, reference, webUrl } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import type { SendFlags } from "../send.ts";

export const send = defineCommand<[string, string | undefined], Omit<SendFlags, "folder">>({
  name: "send",
  group: "Write handlers",
  summary: "Deliver a made-up, signed event",
  description:
    "Deliver a made-up event, signed as the provider signs. Exits with 1 if an answer is not the expected one.",
  arguments: [
    new Argument(
      "<name>",
      "A source of the inbox folder, else a provider, such as stripe (for the list: hookonce providers)",
    ),
    new Argument("[type]", "Event type; by default the provider's usual one"),
  ],
  options: [
    new Option("--to <url>", "Deliver to this URL, not to where the inbox folder listens").argParser(webUrl),
    new Option("--source <name>", "Deliver to this source of the inbox folder; NAME is then the provider"),
    new Option(
      "--secret <reference>",
      "Sign with this secret, not the source's: env:NAME or file:PATH",
    ).argParser(reference),
    new Option(
      "--private-key <reference>",
      "Sign with this private key, if the source has only the public key: env:NAME or file:PATH",
    ).argParser(reference),
    new Option("--make-key-pair <file>", "Send nothing: write a new private key, print its public key"),
    new Option("--public-url <url>", "URL that the provider signs, if it is not the one of --to").argParser(
      webUrl,
    ),
    new Option("--data <file>", "Send this file as the body, not the built-in example"),
    numberOption("--events <n>", "Number of events; with --batch, number of batches"),
    numberOption("--times <n>", "Deliver each event this many times"),
    numberOption("--batch <n>", "Number of events in each delivery"),
    numberOption("--concurrency <n>", "Number of deliveries at a time"),
    new Option("--shuffle", "Deliver in random order"),
    new Option("--tamper", "Change the body after signing; expects 401"),
    new Option("--stale", "Sign with a time that is too old; expects 401"),
    new Option("--wrong-secret", "Sign with another secret; expects 401"),
    new Option("--test", "Mark the event as a test, as the provider does"),
    new Option("--drop-answers", "Hang up before each answer, then deliver again"),
    new Option("--print", "Send nothing: print the signed requests, as verify --request reads them"),
  ],
  async run({ args: [name, type], flags, folder }) {
    const { runSend } = await import("../send.ts");
    return runSend(name, type, { ...flags, folder });
  },
});

function numberOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(count).default(1);
}
