import type { OutgoingRequest, SigningKeys } from "../providers/context.ts";
import type { Delivery } from "../event.ts";
import type { Identified } from "../providers/identify.ts";
import type { Provider } from "../providers/provider.ts";
import { incomingOf } from "../inbox/receive.ts";
import type { Source } from "../providers/source.ts";
import { randomKeys, sign } from "../providers/verifier.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { LOST, NOTHING_LISTENS, readAnswer, wrongWith, type Answer, type TestAnswer } from "./answer.ts";
import { seedOf, type Example, type Seed } from "./example.ts";
import { contentTypeOf, requestOf, staleAge, tampered } from "./request.ts";

export interface SendOptions {
  readonly to: string;
  /** The URL that the provider signs, if it is not `to`. */
  readonly publicUrl?: string | undefined;
  readonly example: Example;
  readonly type: string;
  /** The provider, with the scheme of the receiving source. */
  readonly provider: Pick<Provider, "scheme" | "formField" | "timeoutMs">;
  /** Reads the events that the receiver will find in a delivery. */
  readonly source: Source;
  readonly keys: SigningKeys;
  /** The body to send instead of the example's. */
  readonly data?: Uint8Array | undefined;
  /** How many different deliveries to make, each with new events. */
  readonly events: number;
  /** How often to send each of them. */
  readonly times: number;
  /** How many events each delivery carries. */
  readonly batch: number;
  readonly concurrency: number;
  readonly shuffle: boolean;
  readonly tamper: boolean;
  readonly stale: boolean;
  readonly wrongSecret: boolean;
  readonly dropAnswers: boolean;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** At least 0 and below 1. */
  readonly random: () => number;
  /** Ends the run early; the report then covers the answers so far. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each answer. */
  readonly onAnswer?: ((sent: Sent, done: number, total: number) => void) | undefined;
}

export interface Sent {
  readonly eventIds: readonly string[];
  /** The receiver makes a new id for each delivery, so that `eventIds` are not those that it stores. */
  readonly neverDuplicate: boolean;
  readonly answer: Answer;
}

export interface SendReport {
  readonly deliveries: number;
  readonly events: number;
  readonly ms: number;
  /** How often each word of `Answer.said` was received. */
  readonly said: ReadonlyMap<string, number>;
  readonly wrong: readonly { eventId: string; what: string }[];
  /** What `test_events` was expected to do with each event that says that it is a test. */
  readonly tests: ReadonlySet<TestAnswer>;
}

interface Planned {
  readonly request: OutgoingRequest;
  readonly eventIds: readonly string[];
  readonly tests: readonly (TestAnswer | undefined)[];
  readonly neverDuplicate: boolean;
  readonly answers: Answer[];
}

/** Long enough for the request to arrive, too short for most answers. One that arrives is thrown away. */
const HANG_UP_MS = 3;

/**
 * Delivers made-up events as a provider does: signs each delivery again, and repeats it after a lost answer.
 */
export async function send(options: SendOptions): Promise<SendReport> {
  const startedAt = performance.now();
  const { provider } = options;
  const keys = options.wrongSecret ? randomKeys(provider.scheme) : options.keys;
  const planned: Planned[] = [];
  while (planned.length < options.events) planned.push(await plan(options));
  const order = planned.flatMap((one) => Array.from({ length: options.times }, () => one));
  const queue = (options.shuffle ? shuffled(order, options.random) : order).values();
  const total = order.length * (options.dropAnswers ? 2 : 1);
  let done = 0;
  const ended = (): boolean => options.signal?.aborted ?? false;
  const deliver = async (one: Planned, hangUp: boolean): Promise<void> => {
    const answer = await deliverOnce(one, { ...options, keys }, hangUp);
    one.answers.push(answer);
    const { eventIds, neverDuplicate } = one;
    options.onAnswer?.({ eventIds, neverDuplicate, answer }, ++done, total);
  };
  const sender = async (): Promise<void> => {
    for (const one of queue) {
      if (options.dropAnswers) await deliver(one, true);
      if (ended()) return;
      await deliver(one, false);
      if (ended()) return;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, sender));
  return report(planned, options, performance.now() - startedAt);
}

async function plan(options: SendOptions): Promise<Planned> {
  const { example, type, source, data } = options;
  const now = options.clock();
  const newSeed = (): Seed => seedOf(hex(24, options.random), type, now);
  const rest = Array.from({ length: options.batch - 1 }, newSeed);
  const made = requestOf(example, [newSeed(), ...rest], options.publicUrl ?? options.to);
  const request = data === undefined ? made : withBody(made, data);
  const kept = await keptOf(request, options, now);
  const read = (): Identified[] => {
    if (source.split === undefined) return [source.identify(kept)];
    return source.split(kept).map((event) => {
      if ("id" in event) return event;
      throw event;
    });
  };
  const events = read();
  const eventIds = events.map(({ id }) => id);
  const again = read().map(({ id }) => id);
  return {
    request,
    eventIds,
    tests: events.map((event) =>
      testAnswerOf(event, { ...kept, receivedAt: now, remoteAddress: () => null }, source),
    ),
    neverDuplicate: again.join("\n") !== eventIds.join("\n"),
    answers: [],
  };
}

function testAnswerOf(event: Identified, delivery: Delivery, source: Source): TestAnswer | undefined {
  const whole = source.split === undefined ? undefined : source.parse(delivery);
  try {
    return incomingOf(event, delivery, source, whole).isIgnored === true ? "ignored" : undefined;
  } catch (error) {
    if (error instanceof HookonceError && error.code === "test_event") return "refused";
    throw error;
  }
}

function withBody(made: OutgoingRequest, body: Uint8Array): OutgoingRequest {
  const type = contentTypeOf(body, made.headers["content-type"] ?? "");
  return { ...made, headers: { ...made.headers, "content-type": type }, body };
}

/**
 * The request from which the receiver reads ids, with what it keeps of the query. If the body contains the
 * secret, the secret is replaced.
 */
async function keptOf(
  request: OutgoingRequest,
  { source, provider, keys }: SendOptions,
  now: number,
): Promise<OutgoingRequest> {
  if (source.redactBody === undefined && source.keepQuery === undefined) return request;
  const signed = await sign(provider, request, keys, now);
  const delivery = { ...signed, receivedAt: now, remoteAddress: () => null };
  const redacted = source.redactBody?.(delivery) ?? delivery;
  return { ...signed, ...(source.keepQuery?.(redacted) ?? redacted) };
}

/** Makes and signs the deliveries, and sends nothing. */
export async function signedRequests(options: SendOptions): Promise<OutgoingRequest[]> {
  const keys = options.wrongSecret ? randomKeys(options.provider.scheme) : options.keys;
  const requests: OutgoingRequest[] = [];
  while (requests.length < options.events) {
    const { request } = await plan(options);
    const signed = await signedNow(request, { ...options, keys });
    requests.push({ ...signed, url: targetOf(options.to, signed.url) });
  }
  return requests;
}

async function signedNow(request: OutgoingRequest, options: SendOptions): Promise<OutgoingRequest> {
  const { provider, keys, tamper, stale, clock } = options;
  const age = stale ? (staleAge(provider.scheme) ?? 0) : 0;
  const signed = await sign(provider, request, keys, clock() - age);
  return tamper ? tampered(signed, provider.scheme, provider) : signed;
}

async function deliverOnce(
  { request, eventIds }: Planned,
  options: SendOptions,
  hangUp: boolean,
): Promise<Answer> {
  const { provider } = options;
  const { method, headers, body, url } = await signedNow(request, options);
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  const lost = (): Answer => ({ status: 0, said: eventIds.map(() => LOST), ms: elapsed() });
  try {
    const response = await fetch(targetOf(options.to, url), {
      method,
      headers: { "user-agent": "hookonce-send", ...headers },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(hangUp ? HANG_UP_MS : provider.timeoutMs),
    });
    const text = await response.text();
    if (hangUp) return lost();
    const { status } = response;
    const held = options.source.heldReply;
    // Only its text tells it from other answers.
    if (held !== undefined && held.body !== "" && held.status === status && held.body === text)
      return { status, said: eventIds.map(() => "held"), ms: elapsed() };
    return readAnswer(status, text, eventIds.length, elapsed());
  } catch (error) {
    if (hangUp) return lost();
    const said = isRefused(error) ? NOTHING_LISTENS : `no answer: ${whyNone(error, provider.timeoutMs)}`;
    return { status: 0, said: eventIds.map(() => said), ms: elapsed() };
  }
}

function isRefused(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return code === "ConnectionRefused" || code === "ECONNREFUSED";
}

/** @param timeoutMs how long the provider waits */
function whyNone(error: unknown, timeoutMs: number): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  if (name === "TimeoutError") return `none within ${timeoutMs / 1000} s, after which the provider gives up`;
  if (code === "ECONNRESET" || code === "ConnectionClosed") return "the server closed the connection";
  // Bun adds advice for programmers.
  return messageOf(error).replace(/\s*For more information,.*$/su, "");
}

/** The URL to deliver to, with the query that signing may have added. */
function targetOf(to: string, signedUrl: string): string {
  const { search } = new URL(signedUrl);
  const target = new URL(to);
  if (search !== "") target.search = search;
  return target.href;
}

function report(planned: readonly Planned[], options: SendOptions, ms: number): SendReport {
  const said = new Map<string, number>();
  const wrong: { eventId: string; what: string }[] = [];
  let deliveries = 0;
  for (const { answers, eventIds, tests, neverDuplicate } of planned) {
    deliveries += answers.length;
    for (const [index, eventId] of eventIds.entries()) {
      const read = answers.map((answer) => ({ status: answer.status, said: answer.said[index] ?? LOST }));
      for (const one of read) said.set(one.said, (said.get(one.said) ?? 0) + 1);
      const known = read.filter((one) => one.said !== LOST);
      const expectation = {
        refused: options.tamper || options.stale || options.wrongSecret,
        test: tests[index],
        neverDuplicate,
        maybeKnown: options.data !== undefined,
        inOrder: options.concurrency === 1,
      };
      const found = wrongWith(known, read.length - known.length, expectation);
      wrong.push(...found.map((what) => ({ eventId, what })));
    }
  }
  const events = planned.reduce(
    (sum, { eventIds, neverDuplicate, answers }) =>
      sum + eventIds.length * (neverDuplicate ? answers.length : 1),
    0,
  );
  const tests = new Set(planned.flatMap((one) => one.tests).filter((one) => one !== undefined));
  return { deliveries, events, ms, said, wrong, tests };
}

function hex(length: number, random: () => number): string {
  return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join("");
}

/** The Fisher–Yates shuffle: every order is equally likely. */
function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other] as Item, result[last] as Item];
  }
  return result;
}
