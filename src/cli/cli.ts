import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { ADDRESS } from "../config/address.ts";
import { nearest } from "../config/nearest.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import type { AddFlags } from "./add.ts";
import { EXIT } from "./exit.ts";
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
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError && error.code === "hookonce.literalSecret")
      console.error(error.message);
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    printRefusal(error);
    return EXIT.failed;
  }
}

/** @param called builds only the command of this name, where there is one: describing all of them would be 2 ms of every start */
function createProgram(called: string | undefined, done: (code: number) => void): Command {
  const program = new Command("hookonce")
    .description("A webhook inbox in one file. Every event applied once.")
    .version(packageJson.version)
    .showHelpAfterError("(hookonce --help shows what there is)")
    .exitOverride();
  const add = called === undefined || !Object.hasOwn(COMMANDS, called) ? undefined : COMMANDS[called];
  for (const one of add === undefined ? Object.values(COMMANDS) : [add]) one(program, done);
  return program;
}

type AddCommand = (program: Command, done: (code: number) => void) => void;

const COMMANDS: Readonly<Record<string, AddCommand>> = {
  init: (program) =>
    program
      .command("init")
      .description("write a small working inbox folder; never overwrites")
      .argument("[folder]", "where", ".")
      .action(async (folder: string) => {
        // Loaded only here: the types for editors are in it.
        const { initSummary, writeInbox } = await import("./init.ts");
        process.stdout.write(initSummary(writeInbox(folder), folder));
      }),

  serve: (program, done) =>
    program
      .command("serve")
      .description("receive webhooks: migrate, load the handlers, listen")
      .argument("[folder]", "the inbox folder", ".")
      .addOption(
        new Option("--listen <host:port>", "instead of the config's; port 0 takes a free one").argParser(
          address,
        ),
      )
      .option("--database <path>", "instead of the config's")
      .option("--production", "refuse to start with an unsigned source")
      .option("--accept-id-change", "start although a source is gone, or finds its event ids elsewhere")
      .option("--init", "make the folder first when it has no hookonce.toml")
      .action(async (folder: string, options: ServeFlags) => {
        const { runServe } = await import("./serve.ts");
        done(await runServe(folder, options));
      }),

  check: (program, done) =>
    program
      .command("check")
      .description("check config, migrations and every handler without changing the database")
      .argument("[folder]", "the inbox folder", ".")
      .option("--database <path>", "instead of the config's")
      .action(async (folder: string, options: { database?: string }) => {
        const { runCheck } = await import("./check.ts");
        done(await runCheck(folder, options));
      }),

  providers: (program, done) =>
    program
      .command("providers")
      .description("what hookonce knows of each provider: signature, event id, retries, what remains unsure")
      .argument("[name]", "of one of them", providerNamed)
      .action(async (provider: Provider | undefined) => {
        const { runProviders } = await import("./providers.ts");
        done(runProviders(provider));
      }),

  add: (program, done) =>
    program
      .command("add")
      .description(
        "add a provider: its source, a starter handler for each type, the name of its secret; never overwrites",
      )
      .argument("<provider>", "such as stripe", providerNamed)
      .argument("[types...]", "the events to handle; without any, the usual ones", types)
      .option("--folder <path>", "the inbox folder", ".")
      .option("--name <source>", "the source's name, when it is not to be the provider's")
      .addOption(new Option("--public-url <url>", "the URL that you will enter there").argParser(webUrl))
      .action(async (provider: Provider, types: string[], options: AddFlags) => {
        const { runAdd } = await import("./add.ts");
        done(runAdd(provider, types, options));
      }),

  send: (program, done) =>
    program
      .command("send")
      .description(
        "deliver a made-up event, signed as the provider signs; exit 1 when an answer is not what it should be",
      )
      .argument("<provider>", "such as stripe", providerNamed)
      .argument("[type]", "the event's type; without it, the provider's usual one")
      .addOption(
        new Option("--to <url>", "where to; with --source, by default where that folder listens").argParser(
          webUrl,
        ),
      )
      .option("--source <name>", "sign with the secret of this source of the inbox folder, and as it says")
      .option("--folder <path>", "the inbox folder", ".")
      .addOption(
        new Option("--secret <reference>", "env:NAME or file:PATH, instead of a source's").argParser(
          reference,
        ),
      )
      .addOption(
        new Option(
          "--private-key <reference>",
          "env:NAME or file:PATH, where a source has only the public key",
        ).argParser(reference),
      )
      .option("--make-key-pair <file>", "only make such a key, and print the public half")
      .addOption(
        new Option("--public-url <url>", "the URL that is signed, when it is not --to").argParser(webUrl),
      )
      .option("--data <file>", "this body instead of the built-in one")
      .option("--events <n>", "this many events", count, 1)
      .option("--times <n>", "deliver each this often", count, 1)
      .option("--batch <n>", "this many events in each delivery", count, 1)
      .option("--concurrency <n>", "this many deliveries at a time", count, 1)
      .option("--shuffle", "in any order")
      .option("--tamper", "change the body after signing: must be refused")
      .option("--stale", "sign with a time that is too old: must be refused")
      .option("--wrong-secret", "sign with another secret: must be refused")
      .option("--drop-answers", "hang up before each answer, then deliver again")
      .action(async (provider: Provider, type: string | undefined, options: SendFlags, command: Command) => {
        if (options.to === undefined && options.source === undefined && options.makeKeyPair === undefined)
          command.error("error: say where to: --to URL, or --source NAME of an inbox folder");
        const { runSend } = await import("./send.ts");
        done(await runSend(provider, type, options));
      }),

  verify: (program, done) =>
    program
      .command("verify")
      .description("the signature doctor: whether a saved request verifies and, where it does not, why")
      .requiredOption("--source <name>", "the source that it was sent to")
      .option("--request <file>", "the request as it came: request line, headers, a blank line, the raw body")
      .option("--headers <file>", "instead: the headers, a line each, or as a JSON object")
      .option("--body <file>", "and the raw body")
      .option("--url <url>", "what was requested, where the file does not say it")
      .addOption(
        new Option("--at <time>", "the time to verify at: ISO 8601 or Unix seconds (default: now)").argParser(
          moment,
        ),
      )
      .option("--log <file>", "hookonce's own JSON lines: shows whether it is the clock")
      .option("--folder <folder>", "the inbox folder", ".")
      .action(async (options: VerifyFlags) => {
        const { runVerify } = await import("./verify.ts");
        done(await runVerify(options));
      }),

  demo: (program, done) =>
    program
      .command("demo")
      .description("a storm of retries against the tutorial's receiver and against hookonce")
      .action(async () => {
        const { runDemo } = await import("./demo.ts");
        done(await runDemo());
      }),
};

/** @returns Unix milliseconds */
function moment(value: string): number {
  const ms = /^\d{1,11}$/.test(value) ? Number(value) * 1000 : Date.parse(value);
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError("Write a time such as 2026-01-31T12:00:00Z, or Unix seconds.");
}

function address(value: string): string {
  if (ADDRESS.test(value)) return value;
  throw new InvalidArgumentError("Write host:port, such as 127.0.0.1:8787.");
}

function providerNamed(name: string): Provider {
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  const others = "the README lists those there are";
  throw new InvalidArgumentError(`There is no such provider; ${nearest(name, providers, others)}`);
}

function types(type: string, before: readonly string[] = []): string[] {
  if (type.trim() !== "") return [...before, type];
  throw new InvalidArgumentError("Name an event, such as invoice.paid; or none at all, for the usual ones.");
}

function webUrl(value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new InvalidArgumentError("Write a whole URL: https://…");
}

function reference(value: string): string {
  if (/^(?:env|file):./.test(value)) return value;
  // Commander would repeat the value in its message; this one must not be shown again.
  throw new CommanderError(2, "hookonce.literalSecret", LITERAL_SECRET);
}

const LITERAL_SECRET =
  "error: a secret does not stand on the command line, where the shell's history and every process list keep it: write env:NAME or file:PATH";

function count(value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("Write a whole number from 1 to 999999.");
}
