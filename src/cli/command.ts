import type { Argument, Command, Option } from "commander";
import { UsageError } from "./usage-error.ts";

/** The headings in `hookonce help`, in order. */
export const GROUPS = ["Start", "Look", "Act", "Write handlers", "Manage"] as const;

/** A command as it is declared: its help, and what it runs. */
interface Declaration<Args extends readonly unknown[], Flags extends object> {
  readonly name: string;
  readonly group: (typeof GROUPS)[number];
  /** One line in the list of commands, and the command's own help unless it has a description. */
  readonly summary: string;
  readonly description?: string;
  /** The inbox folder may also be given as the first argument. It is not among `args`. */
  readonly takesFolder?: string;
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  /**
   * Loads the command's code with `import()`, so that each command loads only its own code. Returns the exit
   * code.
   */
  readonly run: (call: Call<Args, Flags>) => Promise<number>;
}

export interface Call<Args extends readonly unknown[] = readonly [], Flags extends object = object> {
  readonly args: Args;
  readonly flags: Flags;
  /** The inbox folder: the argument, else --folder, else HOOKONCE_FOLDER, else the working directory. */
  readonly folder: string;
  /** Whether the folder was named. */
  readonly folderIsGiven: boolean;
}

export interface CommandEntry {
  readonly name: string;
  readonly group: (typeof GROUPS)[number];
  /** @param done gets the exit code */
  addTo(program: Command, done: (code: number) => void): void;
}

export function defineCommand<Args extends readonly unknown[], Flags extends object>(
  declaration: Declaration<Args, Flags>,
): CommandEntry {
  const { name, group, summary, description, takesFolder, options = [] } = declaration;
  return {
    name,
    group,
    addTo(program, done) {
      const command = program
        .command(name)
        .summary(summary)
        .description(description ?? `${summary}.`)
        .helpGroup(`${group}:`)
        .showHelpAfterError(`For help: hookonce ${name} --help`)
        .configureHelp({ showGlobalOptions: true });
      if (takesFolder !== undefined) command.argument("[folder]", takesFolder);
      for (const one of declaration.arguments ?? []) command.addArgument(one);
      for (const one of options) command.addOption(one);
      const refuse: (message: string) => never = (message) => command.error(`error: ${message}`);
      command.action(async (...given: unknown[]) => {
        // Commander passes the arguments, then the options, then the command.
        const args = given.slice(0, -2);
        const asArgument = takesFolder === undefined ? undefined : (args.shift() as string | undefined);
        const { folder: asOption, ...flags } = command.optsWithGlobals<Flags & { folder?: string }>();
        if (asArgument !== undefined && asOption !== undefined && asArgument !== asOption)
          refuse(`two folders are named, ${asArgument} and --folder ${asOption}. Name one.`);
        // An empty variable counts as unset.
        const named = asArgument ?? asOption ?? (process.env["HOOKONCE_FOLDER"] || undefined);
        const call = { args: args as unknown as Args, flags: flags as unknown as Flags };
        try {
          done(await declaration.run({ ...call, folder: named ?? ".", folderIsGiven: named !== undefined }));
        } catch (error) {
          if (error instanceof UsageError) refuse(error.message);
          throw error;
        }
      });
    },
  };
}
