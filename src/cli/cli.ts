import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { ADDRESS } from "../config/address.ts";
import { parseDuration } from "../config/duration.ts";
import { nearest } from "../config/nearest.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import type { AddFlags } from "./add.ts";
import type { ApplyFlags } from "./apply.ts";
import { EXIT } from "./exit.ts";
import type { InitFlags } from "./init.ts";
import { printRefusal } from "./refusal.ts";
import type { SendFlags } from "./send.ts";
import type { ServeFlags } from "./serve.ts";
import type { VerifyFlags } from "./verify.ts";

/**
 * Runs a command line.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function run(args: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  const program = createProgram(args[0], (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // Commander has already printed the error, or the help that was asked for.
    if (error instanceof CommanderError && error.code === "hookonce.literalSecret")
      console.error(error.message);
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    printRefusal(error);
    return EXIT.failed;
  }
}

/** @param called if this is a command, only that one is built, because building all takes 2 ms of every start */
function createProgram(called: string | undefined, done: (code: number) => void): Command {
  const program = new Command("hookonce")
    .description("A webhook inbox in one file. Every event applied once.")
    .version(packageJson.version, "-V, --version", "Show the version")
    .helpOption("-h, --help", "Show this help")
    .helpCommand("help [command]", "Show the help of a command")
    .showHelpAfterError("(For help, run hookonce --help or hookonce COMMAND --help.)")
    .exitOverride();
  const add = called === undefined || !Object.hasOwn(COMMANDS, called) ? undefined : COMMANDS[called];
  for (const one of add === undefined ? Object.values(COMMANDS) : [add]) one(program, done);
  return program;
}

type AddCommand = (program: Command, done: (code: number) => void) => void;

const COMMANDS: Readonly<Record<string, AddCommand>> = {
  init: (program, done) =>
    program
      .command("init")
      .summary("Make an inbox folder that works")
      .description("Make an inbox folder that works. Never overwrites a file of yours.")
      .argument(
        "[folder]",
        "The folder to make or to complete; with --database, by default hookonce/ beside the database",
      )
      .option("--database <path>", "Your application's own SQLite database; then no samples are written")
      .action(async (folder: string | undefined, options: InitFlags) => {
        // Loaded only here, because it contains the types for editors.
        const { runInit } = await import("./init.ts");
        done(runInit(folder, options));
      }),

  serve: (program, done) =>
    program
      .command("serve")
      .summary("Receive webhooks")
      .description("Receive webhooks: apply migrations, load the handlers, listen.")
      .argument("[folder]", "The inbox folder", ".")
      .addOption(
        new Option(
          "--listen <host:port>",
          "Listen on this address, not on the config's; port 0 takes any free port",
        ).argParser(address),
      )
      .option("--database <path>", "Use this database, not the one that the config names")
      .option("--dev", "Also serve unsigned sources, but only to this machine")
      .addOption(new Option("--production").hideHelp())
      .option("--accept-id-change", "Start even if a source is gone or takes its event ids from elsewhere")
      .option("--init", "Make the inbox folder first if it has no hookonce.toml")
      .action(async (folder: string, options: ServeFlags & { production?: true }, command: Command) => {
        if (options.production === true) command.error(PRODUCTION_IS_GONE);
        const { runServe } = await import("./serve.ts");
        done(await runServe(folder, options));
      }),

  check: (program, done) =>
    program
      .command("check")
      .description("Check config, migrations and handlers; change nothing")
      .argument("[folder]", "The inbox folder", ".")
      .option("--database <path>", "Check this database, not the one that the config names")
      .action(async (folder: string, options: { database?: string }) => {
        const { runCheck } = await import("./check.ts");
        done(await runCheck(folder, options));
      }),

  providers: (program, done) =>
    program
      .command("providers")
      .summary("What hookonce knows of each provider")
      .description("What hookonce knows of each provider: signature, event id, retries, and what is unsure.")
      .argument("[name]", "Show everything about this provider; without it, list all of them", providerNamed)
      .action(async (provider: Provider | undefined) => {
        const { runProviders } = await import("./providers.ts");
        done(runProviders(provider));
      }),

  add: (program, done) =>
    program
      .command("add")
      .summary("Add a source")
      .description(
        "Add a source to hookonce.toml, a starter handler for each event type, and the name of its secret to .env. Never overwrites anything.",
      )
      .argument(
        "<provider>",
        "The provider, such as stripe (for the list: hookonce providers)",
        providerNamed,
      )
      .argument("[types...]", "Event types to handle; by default the provider's usual ones", types)
      .option("--folder <path>", "The inbox folder", ".")
      .option("--name <source>", "Name of the source; by default the provider's name")
      .addOption(new Option("--public-url <url>", "URL that you give to the provider").argParser(webUrl))
      .action(async (provider: Provider, types: string[], options: AddFlags) => {
        const { runAdd } = await import("./add.ts");
        done(runAdd(provider, types, options));
      }),

  send: (program, done) =>
    program
      .command("send")
      .summary("Deliver a made-up, signed event")
      .description(
        "Deliver a made-up event, signed as the provider signs. Exits with 1 if an answer is not the expected one.",
      )
      .argument(
        "<provider>",
        "The provider, such as stripe (for the list: hookonce providers)",
        providerNamed,
      )
      .argument("[type]", "Event type; by default the provider's usual one")
      .addOption(
        new Option(
          "--to <url>",
          "Deliver to this URL; with --source, by default where the inbox folder listens",
        ).argParser(webUrl),
      )
      .option("--source <name>", "Sign with the secret and scheme of this source of the inbox folder")
      .option("--folder <path>", "The inbox folder", ".")
      .addOption(
        new Option(
          "--secret <reference>",
          "Sign with this secret, not the source's: env:NAME or file:PATH",
        ).argParser(reference),
      )
      .addOption(
        new Option(
          "--private-key <reference>",
          "Sign with this private key, if the source has only the public key: env:NAME or file:PATH",
        ).argParser(reference),
      )
      .option("--make-key-pair <file>", "Send nothing: write a new private key, print its public key")
      .addOption(
        new Option(
          "--public-url <url>",
          "URL that the provider signs, if it is not the one of --to",
        ).argParser(webUrl),
      )
      .option("--data <file>", "Send this file as the body, not the built-in example")
      .option("--events <n>", "Number of events; with --batch, number of batches", count, 1)
      .option("--times <n>", "Deliver each event this many times", count, 1)
      .option("--batch <n>", "Number of events in each delivery", count, 1)
      .option("--concurrency <n>", "Number of deliveries at a time", count, 1)
      .option("--shuffle", "Deliver in random order")
      .option("--tamper", "Change the body after signing; expects 401")
      .option("--stale", "Sign with a time that is too old; expects 401")
      .option("--wrong-secret", "Sign with another secret; expects 401")
      .option("--drop-answers", "Hang up before each answer, then deliver again")
      .action(async (provider: Provider, type: string | undefined, options: SendFlags, command: Command) => {
        if (options.to === undefined && options.source === undefined && options.makeKeyPair === undefined)
          command.error(
            "error: no receiver: use --to URL, or --source NAME for a source of the inbox folder",
          );
        const { runSend } = await import("./send.ts");
        done(await runSend(provider, type, options));
      }),

  verify: (program, done) =>
    program
      .command("verify")
      .summary("Find out why a delivery was refused")
      .description("Find out why a delivery was refused: verify a saved request, and name what is wrong.")
      .requiredOption("--source <name>", "The source that the request was sent to")
      .option("--request <file>", "The request as it came: request line, headers, a blank line, the raw body")
      .option("--headers <file>", "In place of --request: the headers, one per line or as a JSON object")
      .option("--body <file>", "With --headers: the raw body")
      .option("--url <url>", "The URL that was requested, if the file does not say it")
      .addOption(
        new Option(
          "--at <time>",
          "Verify as of this time: ISO 8601 or Unix seconds (default: now)",
        ).argParser(moment),
      )
      .option("--log <file>", "The JSON log of hookonce serve: shows whether the clock is wrong")
      .option("--folder <folder>", "The inbox folder", ".")
      .action(async (options: VerifyFlags) => {
        const { runVerify } = await import("./verify.ts");
        done(await runVerify(options));
      }),

  apply: (program, done) =>
    program
      .command("apply")
      .summary("Run what is owed and can run now")
      .description(
        "Run what is owed and can run now: unhandled events that have a handler by now, and failed ones. Safe to interrupt and to repeat: each event is applied once.",
      )
      .argument("[ids...]", "Only these events; of the filters, only --source can be added", ids)
      .option("--source <name>", "Only events of this source")
      .option("--type <type>", "Only events of this type; a * at the end stands for anything")
      .addOption(
        new Option("--outcome <outcome>", "Only events with this outcome").choices(["unhandled", "failed"]),
      )
      .addOption(new Option("--since <time>", SINCE).argParser(momentOrAgo))
      .addOption(new Option("--until <time>", "Only events received before this").argParser(momentOrAgo))
      .addOption(new Option("--limit <n>", "Run at most this many events").argParser(count))
      .option("--dry-run", "Only show what would run")
      .option("--json", "Print one JSON object per line")
      .option("--folder <path>", "The inbox folder", ".")
      .option("--database <path>", "The database to use, in place of the one in the config")
      .action(async (ids: string[], options: ApplyFlags) => {
        const { runApply } = await import("./apply.ts");
        done(await runApply(ids, options));
      }),

  demo: (program, done) =>
    program
      .command("demo")
      .summary("See why retries credit twice")
      .description(
        "See why retries credit twice: send the same retries to a tutorial's receiver and to hookonce.",
      )
      .action(async () => {
        const { runDemo } = await import("./demo.ts");
        done(await runDemo());
      }),
};

const PRODUCTION_IS_GONE =
  "error: --production is gone, because it is the default now: without --dev no unsigned source is served. Leave it out.";

/** @returns Unix milliseconds */
function moment(value: string): number {
  const ms = /^\d{1,11}$/.test(value) ? Number(value) * 1000 : Date.parse(value);
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError("Write a time such as 2026-01-31T12:00:00Z, or Unix seconds.");
}

const SINCE = "Only events received at or after this: ISO 8601, Unix seconds, or how long ago, such as 2h";

/** @returns Unix milliseconds */
function momentOrAgo(value: string): number {
  const ago = parseDuration(value);
  if (ago !== undefined) return Date.now() - ago;
  try {
    return moment(value);
  } catch {
    throw new InvalidArgumentError(
      "Write a time such as 2026-01-31T12:00:00Z, Unix seconds, or how long ago, such as 2h.",
    );
  }
}

function ids(id: string, before: readonly string[] = []): string[] {
  if (id !== "") return [...before, id];
  throw new InvalidArgumentError("Write an event id, or leave out all ids to apply everything that is owed.");
}

function address(value: string): string {
  if (ADDRESS.test(value)) return value;
  throw new InvalidArgumentError("Write host:port, such as 127.0.0.1:8787.");
}

function providerNamed(name: string): Provider {
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  const others = "for the list, run hookonce providers.";
  throw new InvalidArgumentError(`Unknown provider; ${nearest(name, providers, others)}`);
}

function types(type: string, before: readonly string[] = []): string[] {
  if (type.trim() !== "") return [...before, type];
  throw new InvalidArgumentError(
    "Write an event type such as invoice.paid, or leave out all types to get the usual ones.",
  );
}

function webUrl(value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new InvalidArgumentError("Write a full URL that starts with https:// or http://.");
}

function reference(value: string): string {
  if (/^(?:env|file):./.test(value)) return value;
  // Commander's own message would repeat the value, and a secret must not be shown again.
  throw new CommanderError(2, "hookonce.literalSecret", LITERAL_SECRET);
}

const LITERAL_SECRET =
  "error: a secret on the command line ends up in the shell's history and in process lists: write env:NAME or file:PATH instead";

function count(value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("Write a whole number from 1 to 999999.");
}
