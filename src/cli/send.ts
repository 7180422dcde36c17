import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { failureCause } from "../app/failure-cause.ts";
import type { StackedFailure } from "../engines/reader.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import type { OutgoingRequest, SigningKeys } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import { signerOf, type Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import { createSource, type SourceSettings } from "../providers/source.ts";
import { randomKeys } from "../providers/verifier.ts";
import { exampleFor, type Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { fitExample, testExample } from "../simulator/fitted-example.ts";
import { staleAge, whyNotTampered } from "../simulator/request.ts";
import { NOTHING_LISTENS } from "../simulator/answer.ts";
import { send, signedRequests, type SendOptions, type SendReport, type Sent } from "../simulator/send.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { lookUp, receiverOf, type Receiver, type ReceiverFlags } from "./send-receiver.ts";
import { warnOfUnknownType } from "./warning.ts";
import { complain, say, sayTable } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface SendFlags extends ReceiverFlags {
  privateKey?: string;
  makeKeyPair?: string;
  data?: string;
  events: number;
  times: number;
  concurrency: number;
  batch: number;
  shuffle?: boolean;
  tamper?: boolean;
  stale?: boolean;
  test?: boolean;
  wrongSecret?: boolean;
  dropAnswers?: boolean;
  /** Prints the requests and sends nothing. */
  print?: boolean;
}

/** If there are more deliveries than this, only the summary is printed. */
const MAX_PRINTED = 20;

/**
 * `hookonce send`. Exits with 1 if an answer is not the expected one.
 *
 * @param name a source of the inbox folder, else a provider
 * @param word an event type, or a word in the example's `untyped`
 * @throws UsageError
 */
export async function runSend(name: string, word: string | undefined, flags: SendFlags): Promise<number> {
  if (flags.makeKeyPair !== undefined) return makeKeyPair(name, flags.makeKeyPair);
  const receiver = receiverOf(name, flags);
  const { provider, settings, to } = receiver;
  const usual = examples.get(provider.name) as Example;
  const made = exampleFor(usual, word ?? usual.types[0]);
  const scheme = settings.scheme ?? provider.scheme;
  const { proof, checksSecretFirst } = kindOf(scheme);
  if (flags.wrongSecret === true && proof === "fetched-key" && !checksSecretFirst)
    throw new UsageError(
      `--wrong-secret does not work for ${provider.title}: hookonce fetches the key from ${signerOf(provider)}, which has no key for a made-up signature.`,
    );
  refuseWhatHasNoEffect(provider, scheme, settings, flags);
  // fetch uses a proxy even for loopback addresses, unless NO_PROXY names them.
  if (/^(?:localhost|127\..*|\[::1\])$/.test(new URL(to).hostname))
    for (const one of ["http_proxy", "HTTP_PROXY"]) delete process.env[one];

  if (word !== undefined) await warnOfUnknownType(provider, word);
  const ended = new AbortController();
  const total = flags.events * flags.times * (flags.dropAnswers === true ? 2 : 1);
  const progress = createProgress(total);
  const failed: string[] = [];
  const options: SendOptions = {
    to,
    publicUrl: settings.publicUrl,
    example: fitExample(flags.test === true ? testOf(made.example, provider) : made.example, settings),
    type: made.type,
    provider: { ...settings.provider, scheme },
    source: createSource(withSomeSecret(settings, scheme, to), Date.now),
    keys: keysOf(receiver, scheme, flags),
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
      for (const [at, said] of sent.answer.said.entries())
        if (said === "failed") failed.push(sent.eventIds[at] ?? "");
      if (total > MAX_PRINTED) progress(done);
      else if (sent.answer.said[0] !== NOTHING_LISTENS) say(answerLine(sent));
    },
  };
  if (flags.print === true) {
    for (const [at, request] of (await signedRequests(options)).entries()) {
      if (at > 0) say("\n");
      printRequest(request);
    }
    return EXIT.done;
  }
  const end = (): void => ended.abort();
  process.once("SIGINT", end);
  const report = await send(options);
  process.off("SIGINT", end);
  const code = summarize(report, to, options.wrongSecret || options.tamper || options.stale);
  sayIfPaused(report, receiver, flags);
  await explain(report, failed, receiver, flags);
  return ended.signal.aborted ? 128 + constants.signals.SIGINT : code;
}

function refuse(message: string): never {
  throw new HookonceError("config_invalid", message);
}

function keysOf({ settings, inbox }: Receiver, scheme: Scheme, flags: SendFlags): SigningKeys {
  const { proof } = kindOf(scheme);
  const signer = signerOf(settings.provider);
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
      `Only ${signer} can sign, because hookonce fetches the key from ${signer} itself. While developing, add an unsigned source with handlers = "${settings.name}", and name it with --source.`,
    );
  }
  if (secret === undefined && inbox !== undefined)
    refuse(
      `The source "${inbox.source}" has no secret yet: ${settings.provider.title} sends it once it has the URL, and hookonce serve logs it. Put it into .env, set the source's secret to it, and send again. Or use another one: --secret env:NAME or file:PATH.`,
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

function testOf(example: Example, provider: Provider): Example {
  const test = testExample(example, provider.testMarks);
  if (test !== undefined) return test;
  return refuse(
    `--test does not work for ${provider.title}: hookonce does not know how to mark a made-up event as a test.`,
  );
}

function readData(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    return refuse(`--data cannot be read: ${messageOf(error)}`);
  }
}

function makeKeyPair(name: string, file: string): number {
  const provider = providers.get(name);
  if (provider === undefined)
    throw new UsageError(`--make-key-pair needs a provider, and "${name}" is not one`);
  const kind = kindOf(provider.scheme);
  if (kind.proof !== "key-pair")
    refuse(`--make-key-pair does not work for ${provider.title}: it does not sign with a private key.`);
  const { secret, privateKey = "" } = kind.makeKeys(provider.scheme);
  try {
    writeFileSync(file, privateKey, { flag: "wx", mode: 0o600 });
  } catch (error) {
    refuse(`Cannot write the private key: ${messageOf(error)}`);
  }
  say(
    `Wrote the private key. Sign with it: --private-key file:${resolve(file)}\nGive the source its public key as the secret: ${secret}`,
  );
  return EXIT.done;
}

function answerLine({ eventIds, neverDuplicate, answer: { status, said, ms } }: Sent): string {
  // An answer that is not hookonce's may be any text.
  const words = visible(said.join(", "));
  // Its id is made by the receiver.
  if (neverDuplicate) return `new event  ${status === 0 ? "" : `${status} `}${words}  ${ms.toFixed(0)} ms`;
  return `${eventIds.join(", ")}  ${status === 0 ? "" : `${status} `}${words}  ${ms.toFixed(0)} ms`;
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

/** Prints a request as it would be sent, in the form that `verify --request` reads. */
function printRequest({ method, url, headers, body }: OutgoingRequest): void {
  const { host, pathname, search } = new URL(url);
  const all = { host, ...headers, "content-length": String(body.byteLength) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  sayTable([`${method} ${pathname}${search} HTTP/1.1`, ...lines, ""]);
  // Elsewhere, the bytes stay as they are, and a line break would be one of them.
  if (process.stdout.isTTY) sayTable([new TextDecoder().decode(body)]);
  else process.stdout.write(body);
}

/** How many failed events are explained. */
const MAX_EXPLAINED = 5;

/** Says why events failed or were refused, if the receiver is a source of the inbox folder. */
async function explain(
  { wrong, said }: SendReport,
  failed: readonly string[],
  { inbox }: Receiver,
  { folder }: SendFlags,
): Promise<void> {
  if (inbox === undefined || wrong.length === 0) return;
  const { source, database } = inbox;
  for (const eventId of new Set(failed.slice(0, MAX_EXPLAINED))) {
    const cause = database === null ? undefined : await failureCause(database, source, eventId);
    if (cause === undefined) continue;
    const { handler, error, code } = cause;
    // Some errors begin with the handler's file.
    const place = handler === null || error.startsWith(handler) ? "" : `${handler}${lineIn(cause)}: `;
    complain(visible(`${eventId} failed: ${place}${error} [${code}]`));
  }
  const refused = [...said.keys()].some((word) => /^(?:signature|timestamp)_/.test(word));
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  if (refused) complain(`To find out why: hookonce verify --last --source ${source}${inFolder}`);
}

/** As `:12`, if the stack of the error has a line of the handler's file. */
function lineIn({ handler, stack }: StackedFailure): string {
  const [, behind = ""] = stack?.split(String(handler)) ?? [];
  return /^:\d+/.exec(behind)?.[0] ?? "";
}

/** Says what to do if the source is paused. */
function sayIfPaused({ said }: SendReport, { inbox }: Receiver, { folder }: SendFlags): void {
  const name = inbox === undefined ? "NAME" : visible(inbox.source);
  const resume = `hookonce resume ${name}${folder === "." ? "" : ` --folder ${shellWord(folder)}`}`;
  if (said.has("held")) say(`held: the source is paused, and runs the event when it resumes: ${resume}`);
  if (said.has("source_paused"))
    say(`source_paused: the source is paused, and refuses its deliveries. To go on: ${resume}`);
}

/** @param isRefused whether every delivery is meant to be refused */
function summarize(
  { deliveries, events, ms, said, wrong, tests }: SendReport,
  to: string,
  isRefused: boolean,
): number {
  if (said.size === 1 && said.has(NOTHING_LISTENS)) {
    complain(`nothing listens on ${new URL(to).origin}: is \`hookonce serve\` running?`);
    return EXIT.failed;
  }
  const counts = [...said].map(([word, count]) => `${count} ${visible(word)}`).join(", ");
  const perSecond = deliveries > MAX_PRINTED ? `, ${Math.round((1000 * deliveries) / ms)}/s` : "";
  say(
    `${counted(deliveries, "delivery", "deliveries")} of ${counted(events, "event")} in ${ms.toFixed(0)} ms${perSecond}: ${counts}${isRefused && wrong.length === 0 ? ", as expected" : ""}`,
  );
  if (said.has("stale"))
    say("stale: an event with a newer version has been applied for this key (newest_wins)");
  if (said.has("ignored") && tests.has("ignored"))
    say('ignored: the event says that it is a test (test_events = "ignore")');
  if (said.has("test_event") && tests.has("refused"))
    say('test_event: the event says that it is a test (test_events = "refuse")');
  for (const { eventId, what } of wrong.slice(0, 10)) complain(visible(`wrong: ${eventId} ${what}`));
  if (wrong.length > 10) complain(`and ${wrong.length - 10} more`);
  return wrong.length > 0 ? EXIT.failed : EXIT.done;
}
