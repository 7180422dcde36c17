import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { ADDRESS } from "../config/schema.ts";
import { runCheck } from "./check.ts";
import { EXIT } from "./exit.ts";
import { printRefusal } from "./refusal.ts";
import type { ServeFlags } from "./serve.ts";
import type { VerifyFlags } from "./verify.ts";

/**
 * Runs a command line.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function run(args: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  const program = createProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // Commander has said what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    printRefusal(error);
    return EXIT.failed;
  }
}

function createProgram(done: (code: number) => void): Command {
  const program = new Command("hookonce")
    .description("A webhook inbox in one file. Every event applied once.")
    .version(packageJson.version)
    .showHelpAfterError("(hookonce --help shows what there is)")
    .exitOverride();

  program
    .command("init")
    .description("write a small working inbox folder; never overwrites")
    .argument("[folder]", "where", ".")
    .action(async (folder: string) => {
      // Loaded only here: the types for editors are in it.
      const { initSummary, writeInbox } = await import("./init.ts");
      process.stdout.write(initSummary(writeInbox(folder), folder));
    });

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
    });

  program
    .command("check")
    .description("check config, migrations and every handler without changing the database")
    .argument("[folder]", "the inbox folder", ".")
    .option("--database <path>", "instead of the config's")
    .action(async (folder: string, options: { database?: string }) => done(await runCheck(folder, options)));

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
    });

  program
    .command("demo")
    .description("a storm of retries against the tutorial's receiver and against hookonce")
    .action(async () => {
      const { runDemo } = await import("./demo.ts");
      done(await runDemo());
    });

  return program;
}

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
