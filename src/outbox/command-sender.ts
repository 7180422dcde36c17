import { formatDuration } from "../config/duration.ts";
import { messageOf } from "../errors.ts";
import { checkCommand, findProgram, type CommandPlace } from "./check-command.ts";
import { startCommand, type CommandProcess } from "./command-process.ts";
import { endGroup, identifyProcess, KILL_AFTER_MS, type StartedProcess } from "./process-groups.ts";
import type { AttemptResult, OutgoingMessage, Sender } from "./sender.ts";

/** How much of the output is kept, in bytes. */
export const OUTPUT_BYTES = 4096;

/**
 * How long to read on after the command has ended, in milliseconds, if a program that it left in the
 * background has its output open.
 */
const OUTPUT_GRACE_MS = 500;

/** Environment variables of serve that begin with this mean hookonce itself. */
const OWN_PREFIX = "HOOKONCE_";

export interface CommandSenderOptions {
  readonly command: readonly string[];
  /** Absolute. Relative programs begin in it, and the command runs in it. */
  readonly inboxFolder: string;
  /** Of serve itself, without the inbox folder's .env. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The variables that the config names as secrets. The command does not get them. */
  readonly secretVariables: readonly string[];
  readonly timeoutMs: number;
  /**
   * Records that the command is about to run. The command begins when this has resolved. If it rejects, nothing
   * of the command has run, and the attempt was interrupted.
   */
  readonly onStarted: (message: OutgoingMessage, started: StartedProcess) => Promise<void>;
  /** What the command reads. If it throws, the attempt has failed. Default: the message's body. */
  readonly inputOf?: (message: OutgoingMessage) => Uint8Array;
  /** Only tests change it. In milliseconds. */
  readonly killAfterMs?: number;
}

/**
 * Runs a command for each message, with the body on standard input. Exit code 0 is success.
 *
 * A message never has two commands that run at the same time. The process waits at a gate until its pid is
 * committed. If hookonce dies before that, the process ends without having run anything. If hookonce dies later,
 * `endLeftover` ends the process at the next start.
 */
export function createCommandSender(options: CommandSenderOptions): Sender {
  const { command, inboxFolder, environment, timeoutMs, onStarted, killAfterMs = KILL_AFTER_MS } = options;
  const { inputOf = ({ body }: OutgoingMessage) => body } = options;
  const [name = "", ...rest] = command;
  const place: CommandPlace = { inboxFolder, path: environment["PATH"] };
  const inherited = withoutSecrets(options);

  function start(message: OutgoingMessage): CommandProcess {
    // Checked at each attempt, because the command may be put into place or corrected meanwhile.
    const problem = checkCommand(command, place);
    if (problem !== undefined) throw new Error(problem);
    return startCommand({
      command: [findProgram(name, place) ?? name, ...rest],
      folder: inboxFolder,
      environment: { ...inherited, ...variablesOf(message) },
      input: inputOf(message),
      outputBytes: OUTPUT_BYTES,
    });
  }

  async function end(running: CommandProcess): Promise<void> {
    if (process.platform === "win32") running.kill();
    else await endGroup(running.pid, killAfterMs);
  }

  /** Lets the command run until it ends, its time is over, or hookonce stops. */
  async function run(running: CommandProcess, signal: AbortSignal): Promise<"ended" | "late" | "stopped"> {
    const stop = Promise.withResolvers<"stopped">();
    const late = Promise.withResolvers<"late">();
    const onAbort = (): void => stop.resolve("stopped");
    signal.addEventListener("abort", onAbort);
    const timer = setTimeout(late.resolve, timeoutMs, "late");
    if (signal.aborted) onAbort();
    else running.go();
    const ended = running.ended.then(() => "ended" as const);
    try {
      const how = await Promise.race([ended, late.promise, stop.promise]);
      if (how !== "ended") await end(running);
      // A command that runs as another user (sudo) cannot be ended, and the next attempt must not run beside it.
      if (how === "late") await Promise.race([ended, stop.promise]);
      return how;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  async function attempt(message: OutgoingMessage, signal: AbortSignal): Promise<Ended> {
    if (signal.aborted) return { verdict: "interrupted", error: STOPPED };
    const running = start(message);
    try {
      await onStarted(message, identifyProcess(running.pid));
    } catch (error) {
      await end(running);
      return { verdict: "interrupted", error: `its start could not be recorded: ${messageOf(error)}` };
    }
    const how = await run(running, signal);
    await Promise.race([running.output.ended, Bun.sleep(OUTPUT_GRACE_MS)]);
    const answer = running.output.text();
    if (how === "stopped") return { verdict: "interrupted", error: STOPPED, answer };
    if (how === "late")
      return { verdict: "failed", error: `it did not end within ${formatDuration(timeoutMs)}`, answer };
    const { code, signal: by } = await running.ended;
    if (by !== null) return { verdict: "failed", error: `it was ended by ${by}`, answer };
    return code === 0
      ? { verdict: "delivered", status: 0, answer }
      : { verdict: "failed", status: code, error: `it ended with exit code ${code}`, answer };
  }

  return {
    async send(message, signal) {
      const begin = performance.now();
      const ended = await attempt(message, signal).catch((error: unknown): Ended => ({
        verdict: "failed",
        error: messageOf(error),
      }));
      const ms = Math.round(performance.now() - begin);
      return { status: null, error: null, retryAfterMs: null, answer: "", ...ended, ms };
    },
  };
}

const STOPPED = "hookonce stopped";

type Ended = Pick<AttemptResult, "verdict"> & Partial<AttemptResult>;

function withoutSecrets({ environment, secretVariables }: CommandSenderOptions): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || secretVariables.includes(name) || name.startsWith(OWN_PREFIX)) continue;
    kept[name] = value;
  }
  return kept;
}

/** What the environment of a message's command has, and that of no other command. */
export const markOf = (message: string): string => `HOOKONCE_MESSAGE_ID=${message}`;

function variablesOf({ id, eventId, type, source, attempt }: OutgoingMessage): Record<string, string> {
  const variables = {
    HOOKONCE_MESSAGE_ID: id,
    HOOKONCE_EVENT_ID: eventId,
    HOOKONCE_TYPE: type,
    HOOKONCE_SOURCE: source,
    HOOKONCE_ATTEMPT: String(attempt),
  };
  // A variable ends at a NUL. An id that a handler made may contain one.
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, value.replaceAll("\0", "\u{fffd}")]),
  );
}
