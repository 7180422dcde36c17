import type { ConfiguredDestination } from "../config/destinations.ts";
import type { Reader } from "../engines/reader.ts";
import { createCommandSender, markOf } from "../outbox/command-sender.ts";
import { startDispatch, type Destination, type Dispatcher, type OnStarted } from "../outbox/dispatch.ts";
import { endLeftover } from "../outbox/process-groups.ts";
import type { Sender } from "../outbox/sender.ts";
import { createUrlSender } from "../outbox/url-sender.ts";
import { providers } from "../providers/presets.ts";
import { createEventAlone } from "../providers/event-alone.ts";
import { createForwardSigner } from "../providers/sign-again.ts";
import type { SourceSettings } from "../providers/source.ts";
import type { Loaded } from "./live.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import { settingsOf } from "./sources.ts";

export type SendingOptions = Pick<OpenInboxOptions, "log" | "clock" | "counters">;

/** Makes a sender for each destination of the config, and starts to send. */
export function startSending(
  { log, clock, counters }: SendingOptions,
  { queue, live }: Pick<Inbox, "queue" | "live">,
  reader: Reader,
): Promise<Dispatcher> {
  return startDispatch({
    destinations: destinationsIn(live(), clock),
    reader,
    write: async (entries) => void (await queue.write({ kind: "record", entries })),
    readsOf: (source) => live().sources.get(source),
    endLeftover: ({ pid, startedAt, bootId }, message) =>
      endLeftover({ pid, startedAt: startedAt ?? "", bootId: bootId ?? "" }, markOf(message)),
    log,
    clock,
    random: Math.random,
    onAttempt: counters?.attempts.add,
  });
}

/** The destinations of a config, with what makes their senders. */
export function destinationsIn({ config }: Pick<Loaded, "config">, clock: () => number): Destination[] {
  const options = { config, clock, settingsOf: settingsIn(config) };
  return config.destinations.map((one) => destinationOf(one, options));
}

interface SenderOptions extends Pick<Loaded, "config">, Pick<SendingOptions, "clock"> {
  readonly settingsOf: (source: string) => SourceSettings | undefined;
}

function destinationOf(destination: ConfiguredDestination, options: SenderOptions): Destination {
  return {
    ...destination,
    createSender: (onStarted) =>
      destination.kind === "url"
        ? urlSender(destination, options)
        : commandSender(destination, options, onStarted),
  };
}

type Kind<K extends ConfiguredDestination["kind"]> = Extract<ConfiguredDestination, { kind: K }>;

function urlSender(destination: Kind<"url">, { config, clock, settingsOf }: SenderOptions): Sender {
  const { url, timeoutMs, secrets } = destination;
  return createUrlSender({
    url,
    timeoutMs,
    sign: createForwardSigner(destination, settingsOf),
    // A provider that sends its secret itself is signed for with it.
    secrets: [...secrets, ...config.sources.flatMap((source) => source.secrets)],
    clock,
  });
}

function commandSender(
  { command, timeoutMs }: Kind<"command">,
  { config, settingsOf }: SenderOptions,
  onStarted: OnStarted,
): Sender {
  const alone = createEventAlone(settingsOf);
  return createCommandSender({
    command,
    inboxFolder: config.inboxFolder,
    environment: process.env,
    secretVariables: config.secretVariables,
    timeoutMs,
    inputOf: (message) => alone(message).body,
    onStarted: (message, { pid, startedAt, bootId }) =>
      onStarted(message, { pid, startedAt: startedAt || null, bootId: bootId || null }),
  });
}

function settingsIn(config: Loaded["config"]): SenderOptions["settingsOf"] {
  const made = new Map<string, SourceSettings>();
  for (const source of config.sources) {
    const preset = providers.get(source.provider);
    if (preset !== undefined) made.set(source.name, settingsOf(source, preset, config.sources));
  }
  return (name) => made.get(name);
}
