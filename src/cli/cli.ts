import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { LITERAL_SECRET } from "./arguments.ts";
import { commands } from "./commands.ts";
import { EXIT } from "./exit.ts";
import { printRefusal } from "./refusal.ts";
import { complain } from "./terminal.ts";
import { START_BACKUP } from "../app/backup-process.ts";
import { CHECK } from "../app/check-process.ts";
import { TRY } from "../app/trial-process.ts";
import { unknownCommand } from "./unknown-command.ts";

/**
 * Runs a command line.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function run(args: readonly string[]): Promise<number> {
  // The child of hookonce check.
  if (args[0] === TRY) return (await import("./try-child.ts")).runTryChild();
  // The child of hookonce reload.
  if (args[0] === CHECK) return (await import("./check-child.ts")).runCheckChild();
  // The child of hookonce check --backup.
  if (args[0] === START_BACKUP) return (await import("./check-child.ts")).runBackupChild();
  let code: number = EXIT.done;
  const asked = commandIn(args);
  if (asked === undefined && !args.some((arg) => arg.startsWith("-") && !isFolder(arg))) {
    process.stdout.write(INTRODUCTION);
    return EXIT.done;
  }
  const unknown = unknownIn(args, asked);
  if (unknown !== undefined) {
    complain(unknownCommand(unknown));
    return EXIT.usage;
  }
  const program = createProgram(asked, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // Commander has already printed the error, or the help that was asked for.
    if (error instanceof CommanderError && error.code === LITERAL_SECRET) complain(error.message);
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    printRefusal(error);
    return EXIT.failed;
  }
}

/** Exactly five lines. */
const INTRODUCTION = `hookonce ${packageJson.version}: a webhook inbox in one file. Every event applied once.
  hookonce demo            See why retries credit twice
  hookonce init FOLDER     Make an inbox folder that works
  hookonce add stripe      Add a source to it, of any provider
  hookonce help            All commands
`;

/** Commands of {@link createProgram} itself. */
const BUILT_IN = new Set(["help", "version"]);

const FOLDER = "--folder";

function isFolder(arg: string): boolean {
  return arg === FOLDER || arg.startsWith(`${FOLDER}=`);
}

/** The first argument that is not an option or the folder. */
function commandIn(args: readonly string[]): string | undefined {
  return args.find((arg, at) => !arg.startsWith("-") && args[at - 1] !== FOLDER);
}

/**
 * Returns the word in the place of the command, if it is not a command. Undefined if the command is known, or
 * if commander will report another error.
 */
function unknownIn(args: readonly string[], asked: string | undefined): string | undefined {
  const word = asked === "help" ? commandIn(args.slice(args.indexOf("help") + 1)) : asked;
  if (word === undefined || BUILT_IN.has(word) || commands.some(({ name }) => name === word))
    return undefined;
  // The word may be the value of an unknown option before it.
  const before = args.slice(0, args.indexOf(word));
  return before.some((arg) => arg.startsWith("-") && !isFolder(arg)) ? undefined : word;
}

/**
 * @param asked if this is a command, only that one is built, because building all takes 2 ms of every start
 */
function createProgram(asked: string | undefined, done: (code: number) => void): Command {
  const program = new Command("hookonce")
    .description("A webhook inbox in one file. Every event applied once.")
    .version(packageJson.version, "-V, --version", "Show the version")
    .option(`${FOLDER} <path>`, "The inbox folder; also HOOKONCE_FOLDER (default: the working directory)")
    .helpOption("-h, --help", "Show this help")
    .addHelpCommand(
      new Command("help").argument("[command]").summary("Show the help of a command").helpGroup("Manage:"),
    )
    .showHelpAfterError("For help: hookonce --help")
    .configureOutput({ writeErr: (text) => complain(plainly(text.trimEnd())) })
    .exitOverride();
  program
    .command("version", { hidden: true })
    .description("Show the version, as --version does.")
    .action(() => void process.stdout.write(`${packageJson.version}\n`));
  const one = commands.find(({ name }) => name === asked);
  for (const command of one === undefined ? commands : [one]) command.addTo(program, done);
  return program;
}

/** Removes commander's words around what is wrong with an argument, and a wrong guess at an option. */
function plainly(text: string): string {
  return text
    .replace(
      /command-argument value '([^']*)' is invalid for argument '[^']*'\. (\S)/,
      (_, value: string, first: string) => (value.trim() === "" ? first : `${value}: ${first.toLowerCase()}`),
    )
    .replace(
      /(?<='--type'\n)\(Did you mean --tamper\?\)/,
      "(The type has no option, as in hookonce send stripe invoice.paid)",
    );
}
