import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { secretNeeds, settingsOf } from "../app/sources.ts";
import { loadConfig } from "../config/load.ts";
import { createSecretLookup } from "../config/secrets.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { visible } from "../logging/visible.ts";
import type { SigningKeys } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import { createSource, type SourceSettings } from "../providers/source.ts";
import { randomKeys } from "../providers/verifier.ts";
import type { Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { staleAge, whyNotTampered } from "../simulator/request.ts";
import { send, type SendReport, type Sent } from "../simulator/send.ts";
import { EXIT } from "./exit.ts";
import { warnOfUnknownType } from "./warning.ts";

export interface SendFlags {
  /** The inbox folder. */
  folder: string;
  to?: string;
  source?: string;
  secret?: string;
  privateKey?: string;
  makeKeyPair?: string;
  publicUrl?: string;
  data?: string;
  events: number;
  times: number;
  concurrency: number;
  batch: number;
  shuffle?: boolean;
  tamper?: boolean;
  stale?: boolean;
  wrongSecret?: boolean;
  dropAnswers?: boolean;
}

/** If there are more deliveries than this, only the summary is printed. */
const MAX_PRINTED = 20;

/** `hookonce send`. Exits with 1 if an answer is not the expected one. */
export async function runSend(
  provider: Provider,
  type: string | undefined,
  flags: SendFlags,
): Promise<number> {
  if (flags.makeKeyPair !== undefined) return makeKeyPair(provider, flags.makeKeyPair);
  const example = examples.get(provider.name) as Example;
  const { settings, to } = receiverOf(provider, flags);
  const scheme = settings.scheme ?? provider.scheme;
  const { proof, checksSecretFirst } = kindOf(scheme);
  if (flags.wrongSecret === true && proof === "fetched-key" && !checksSecretFirst) {
    console.error(
      `error: --wrong-secret does not work for ${provider.title}: hookonce fetches the key from ${provider.title}, which has no key for a made-up signature.`,
    );
    return EXIT.usage;
  }
  refuseWhatHasNoEffect(provider, scheme, settings, flags);
  // fetch uses a proxy even for loopback addresses, unless NO_PROXY names them.
  if (/^(?:localhost|127\..*|\[::1\])$/.test(new URL(to).hostname))
    for (const name of ["http_proxy", "HTTP_PROXY"]) delete process.env[name];

  if (type !== undefined) await warnOfUnknownType(provider, type);
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end);
  const total = flags.events * flags.times * (flags.dropAnswers === true ? 2 : 1);
  const progress = createProgress(total);
  const report = await send({
    to,
    publicUrl: settings.publicUrl,
    example,
    type: type ?? example.types[0],
    provider: { ...settings.provider, scheme },
    source: createSource(withSomeSecret(settings, scheme, to), Date.now),
    keys: keysOf(settings, scheme, flags),
    data: flags.data === undefined ? undefined : readData(flags.data),
    events: flags.events,
    times: flags.times,
    batch: flags.batch,
    concurrency: flags.concurrency,
    shuffle: flags.shuffle ?? false,
    tamper: flags.tamper ?? false,
    stale: flags.stale ?? false,
    wrongSecret: flags.wrongSecret ?? false,
    dropAnswers: flags.dropAnswers ?? false,
    clock: Date.now,
    random: Math.random,
    signal: ended.signal,
    onAnswer(sent, done) {
      if (total <= MAX_PRINTED) console.log(answerLine(sent));
      else progress(done);
    },
  });
  process.off("SIGINT", end);
  const code = summarize(report);
  return ended.signal.aborted ? 128 + constants.signals.SIGINT : code;
}

function refuse(message: string): never {
  throw new HookonceError("config_invalid", message);
}

/** The settings of the receiving source: those of a source of the inbox folder, or the provider's preset. */
function receiverOf(provider: Provider, flags: SendFlags): { settings: SourceSettings; to: string } {
  const { source: name, publicUrl } = flags;
  if (name === undefined) {
    const secrets = flags.secret === undefined ? [] : [lookUp(flags, flags.secret)];
    return { settings: { name: provider.name, provider, secrets, publicUrl }, to: flags.to ?? "" };
  }
  const { sources, listen } = loadConfig(resolve(flags.folder), secretNeeds, process.env);
  const source = sources.find((one) => one.name === name);
  if (source === undefined)
    refuse(
      `There is no source "${name}" in hookonce.toml. Its sources are ${sources.map((one) => one.name).join(", ")}.`,
    );
  const host = listen.hostname.includes(":") ? `[${listen.hostname}]` : listen.hostname;
  const to = flags.to ?? `http://${host}:${listen.port}/webhook/${name}`;
  const configured = settingsOf(source, providers.get(source.provider) ?? provider, sources);
  const secrets = flags.secret === undefined ? configured.secrets : [lookUp(flags, flags.secret)];
  return { settings: { ...configured, secrets, publicUrl: publicUrl ?? configured.publicUrl }, to };
}

function lookUp({ folder }: SendFlags, reference: string): string {
  const looked = createSecretLookup(resolve(folder), process.env)(reference);
  return "secret" in looked ? looked.secret : refuse(`${looked.problem}.`);
}

function keysOf(settings: SourceSettings, scheme: Scheme, flags: SendFlags): SigningKeys {
  const { proof } = kindOf(scheme);
  if (flags.wrongSecret === true || proof === "none") return { secret: "" };
  const [secret] = settings.secrets;
  if (flags.privateKey !== undefined)
    return { secret: secret ?? "", privateKey: lookUp(flags, flags.privateKey) };
  if (proof === "key-pair") {
    refuse(
      `${settings.provider.title} signs with a private key, and a source has only the public key. Make a pair with --make-key-pair FILE, which prints the next steps.`,
    );
  }
  if (proof === "fetched-key") {
    refuse(
      `Only ${settings.provider.title} can sign, because hookonce fetches the key from ${settings.provider.title} itself. While developing, add an unsigned source with handlers = "${settings.provider.name}", and name it with --source.`,
    );
  }
  if (secret === undefined && flags.source !== undefined)
    refuse(
      `The source "${flags.source}" has no secret yet: ${settings.provider.title} sends it once it has the URL, and hookonce serve logs it. Put it into .env, set the source's secret to it, and send again. Or use another one: --secret env:NAME or file:PATH.`,
    );
  if (secret === undefined)
    refuse(
      "No secret to sign with: use --source NAME for a source of the inbox folder, or --secret env:NAME or file:PATH.",
    );
  return { secret };
}

/**
 * Fills in a secret and a URL, which a verifier requires. The source is only used to read the events of a
 * delivery.
 */
function withSomeSecret(settings: SourceSettings, scheme: Scheme, to: string): SourceSettings {
  const secrets = settings.secrets.length > 0 ? settings.secrets : [randomKeys(scheme).secret];
  return { ...settings, secrets, publicUrl: settings.publicUrl ?? to };
}

function refuseWhatHasNoEffect(
  provider: Provider,
  scheme: Scheme,
  settings: SourceSettings,
  flags: SendFlags,
): void {
  const { title } = provider;
  const untampered = whyNotTampered(scheme);
  if (flags.tamper === true && untampered !== undefined)
    refuse(`--tamper has no effect for ${title}: ${untampered}.`);
  if (flags.stale === true && staleAge(scheme) === undefined)
    refuse(`--stale has no effect for ${title}: hookonce checks no time in its signature.`);
  if (flags.wrongSecret === true && kindOf(scheme).proof === "none")
    refuse(`--wrong-secret has no effect for ${title}: its deliveries are not signed.`);
  if (flags.batch > 1 && (settings.batch ?? settings.provider.batch) === undefined)
    refuse(`--batch does not work for ${title}: it sends one event in each delivery.`);
}

function readData(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    return refuse(`--data cannot be read: ${messageOf(error)}`);
  }
}

function makeKeyPair(provider: Provider, file: string): number {
  const kind = kindOf(provider.scheme);
  if (kind.proof !== "key-pair")
    refuse(`--make-key-pair does not work for ${provider.title}: it does not sign with a private key.`);
  const { secret, privateKey = "" } = kind.makeKeys(provider.scheme);
  try {
    writeFileSync(file, privateKey, { flag: "wx", mode: 0o600 });
  } catch (error) {
    refuse(`Cannot write the private key: ${messageOf(error)}`);
  }
  console.log(
    `Wrote the private key. Sign with it: --private-key file:${resolve(file)}\nGive the source its public key as the secret: ${secret}`,
  );
  return EXIT.done;
}

function answerLine({ eventIds, answer: { status, said, ms } }: Sent): string {
  // An answer that is not hookonce's may be any text.
  const words = visible(said.join(", "));
  const id = eventIds.map((one) => (one.length > 40 ? `${one.slice(0, 39)}…` : one)).join(", ");
  return `${id}  ${status === 0 ? "" : `${status} `}${words}  ${ms.toFixed(0)} ms`;
}

/** Shows progress on a terminal, in one line that is overwritten. Shows nothing elsewhere. */
function createProgress(total: number): (done: number) => void {
  const out = process.stderr;
  if (!out.isTTY) return () => {};
  let shownAt = -Infinity;
  return (done) => {
    const now = performance.now();
    if (done < total && now - shownAt < 100) return;
    shownAt = now;
    const filled = Math.round((30 * done) / total);
    out.write(
      `\r${"█".repeat(filled)}${"░".repeat(30 - filled)} ${done}/${total}${done === total ? "\n" : ""}`,
    );
  };
}

function summarize({ deliveries, events, ms, said, wrong }: SendReport): number {
  const counts = [...said].map(([word, count]) => `${count} ${visible(word)}`).join(", ");
  const perSecond = deliveries > MAX_PRINTED ? `, ${Math.round((1000 * deliveries) / ms)}/s` : "";
  console.log(
    `${deliveries} ${deliveries === 1 ? "delivery" : "deliveries"} of ${events} ${events === 1 ? "event" : "events"} in ${ms.toFixed(0)} ms${perSecond}: ${counts}`,
  );
  for (const { eventId, what } of wrong.slice(0, 10)) console.error(visible(`wrong: ${eventId} ${what}`));
  if (wrong.length > 10) console.error(`and ${wrong.length - 10} more`);
  return wrong.length > 0 ? EXIT.failed : EXIT.done;
}
