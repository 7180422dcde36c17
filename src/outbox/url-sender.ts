import { formatDuration } from "../config/duration.ts";
import { messageOf } from "../errors.ts";
import { createTextRedaction } from "../providers/body/secret-spellings.ts";
import type { Clock, OutgoingRequest } from "../providers/context.ts";
import { lookUpHost, type HostAddress } from "../providers/host-lookup.ts";
import { createAddressOrder } from "./address-order.ts";
import { refusedAddress } from "./addresses.ts";
import { readAnswer } from "./answer.ts";
import { connectionError, isNotConnected, lookupError } from "./connection-errors.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { AttemptResult, OutgoingMessage, Sender } from "./sender.ts";
import { compileUrlTemplate } from "./url-template.ts";

/**
 * Makes the request of a message: the destination's headers, and a signature of this moment.
 *
 * @param url with everything filled in
 */
export type Sign = (
  message: OutgoingMessage,
  url: string,
  nowMs: number,
) => OutgoingRequest | Promise<OutgoingRequest>;

/** All addresses of a host name. Rejects with a code such as ENOTFOUND. */
export type Lookup = (hostname: string) => Promise<readonly HostAddress[]>;

export interface UrlSenderOptions {
  /** With placeholders, as in the config. */
  readonly url: string;
  /** For the whole attempt: lookup, connection, headers and body. */
  readonly timeoutMs: number;
  readonly sign: Sign;
  /** Hidden wherever a receiver repeats them: the secret, and the header values that are secrets. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  readonly lookup?: Lookup;
  /** A certificate authority that is trusted instead of those of this machine, in PEM. */
  readonly ca?: string;
}

/**
 * How long the body is read once the status is known, in milliseconds. The body changes nothing but the text
 * that is shown, and meanwhile the message takes the place of another.
 */
const ANSWER_MS = 1000;

/**
 * Seconds. Servers close idle connections, Node.js after 5 s, and a request that meets such a close fails. Bun
 * adds up to two steps of 4 s.
 */
const IDLE_SECONDS = 4;

/** Why an attempt ended without an answer. */
class NoAnswer extends Error {
  constructor(
    message: string,
    readonly verdict: AttemptResult["verdict"] = "failed",
  ) {
    super(message);
  }
}

/**
 * Sends messages to a URL. Each attempt looks the host up, checks its addresses and connects to one of those,
 * so that DNS cannot give another address after the check. No proxy is used, whatever the environment says,
 * because it would look the host up again. Redirects are not followed, because they lead to hosts that were
 * not checked.
 *
 * @throws HookonceError `config_invalid` if the path of a placeholder cannot be read
 */
export function createUrlSender(options: UrlSenderOptions): Sender {
  const { timeoutMs, clock, lookup = lookUpHost } = options;
  const template = compileUrlTemplate(options.url);
  const { protocol, host, port } = template.example;
  const hostname = template.example.hostname.replace(/^\[|\]$/g, "");
  const isAddress = /^[\d.]+$|:/.test(hostname);
  const place = port !== "" ? host : `${host}:${protocol === "https:" ? 443 : 80}`;
  const hide = createTextRedaction(options.secrets.flatMap(spellingsOf));
  const order = createAddressOrder();
  // The connections of a destination are its own: each was verified for its name.
  const session = new Bun.FetchSession({
    proxy: false,
    keepAlive: { idleTimeout: IDLE_SECONDS },
    tls: {
      // No certificate has a name with a dot at its end. Without a name, the address is verified.
      ...(isAddress ? {} : { serverName: hostname.replace(/\.$/, "") }),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    },
  });

  return {
    send: async (message, signal) => {
      const started = performance.now();
      const elapsed = (): number => performance.now() - started;
      const attempt = new AbortController();
      const abort = (): void => attempt.abort();
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
      let timer = setTimeout(abort, timeoutMs);
      try {
        const { response, url } = await respond(message, attempt.signal);
        clearTimeout(timer);
        timer = setTimeout(abort, Math.min(ANSWER_MS, timeoutMs - elapsed()));
        const result = resultOf(response, url);
        const answer = await readAnswer(response.body, abort, hide);
        return { ...result, answer, ms: Math.round(elapsed()) };
      } catch (error) {
        const { message: text, verdict } =
          error instanceof NoAnswer
            ? error
            : signal.aborted
              ? new NoAnswer("hookonce stopped before the answer", "interrupted")
              : new NoAnswer(
                  attempt.signal.aborted ? `no answer within ${formatDuration(timeoutMs)}` : messageOf(error),
                );
        const ms = Math.round(elapsed());
        return { verdict, status: null, error: hide(text), retryAfterMs: null, answer: "", ms };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      }
    },
  };

  /** Rejects with {@link NoAnswer}, or with any error once the attempt is aborted. */
  async function respond(
    message: OutgoingMessage,
    signal: AbortSignal,
  ): Promise<{ response: Response; url: string }> {
    const filled = template.urlFor(message);
    if ("problem" in filled) throw new NoAnswer(filled.problem, "hopeless");
    const { url } = filled;
    const addresses = order.sort(await checkedAddresses(signal));
    const tried: string[] = [];
    for (const address of addresses) {
      tried.push(address);
      // Signed for each address, so that the time in the signature is the time of sending.
      const request = await requestFor(message, url, signal);
      try {
        const response = await session.fetch(urlAt(address, request.url), { ...request.init, signal });
        order.succeeded(address);
        return { response, url };
      } catch (error) {
        order.failed(address);
        if (signal.aborted) throw error;
        if (isNotConnected(error) && tried.length < addresses.length) continue;
        throw new NoAnswer(connectionError(error, isAddress ? place : `${place} (${tried.join(", ")})`));
      }
    }
    throw new NoAnswer(`the name ${hostname} has no address`);
  }

  async function checkedAddresses(signal: AbortSignal): Promise<readonly string[]> {
    const found = isAddress ? [hostname] : await lookedUp(signal);
    const refused = found.map(refusedAddress);
    const usable = found.filter((_, index) => refused[index] === undefined);
    if (usable.length > 0 || refused[0] === undefined) return usable;
    const where = isAddress ? hostname : `${hostname} is at ${found[0]}, which`;
    throw new NoAnswer(`address_refused: ${where} is ${refused[0]}. hookonce sends nothing there`);
  }

  async function lookedUp(signal: AbortSignal): Promise<readonly string[]> {
    try {
      const found = await unlessAborted(signal, lookup(hostname));
      return found.map(({ address }) => address);
    } catch (error) {
      throw signal.aborted ? error : new NoAnswer(lookupError(error, hostname));
    }
  }

  async function requestFor(
    message: OutgoingMessage,
    url: string,
    signal: AbortSignal,
  ): Promise<{ url: string; init: BunFetchRequestInit }> {
    let request: OutgoingRequest;
    try {
      request = await unlessAborted(signal, options.sign(message, url, clock()));
    } catch (error) {
      throw signal.aborted ? error : new NoAnswer(`the message cannot be signed: ${messageOf(error)}`);
    }
    const init: BunFetchRequestInit = {
      method: request.method,
      headers: headersOf(request.headers, host),
      body: request.body,
      redirect: "manual",
      // The answer is shown as it is. Inflated, it could fill the memory.
      decompress: false,
      // The attempt has a limit, and it may be longer than Bun's 5 minutes.
      timeout: false,
    };
    return { url: request.url, init };
  }

  function urlAt(address: string, url: string): string {
    const { pathname, search } = new URL(url);
    const authority = (address.includes(":") ? `[${address}]` : address) + (port === "" ? "" : `:${port}`);
    return `${protocol}//${authority}${pathname}${search}`;
  }

  function resultOf(
    { status, headers }: Response,
    url: string,
  ): Pick<AttemptResult, "verdict" | "status" | "error" | "retryAfterMs"> {
    if (status >= 200 && status < 300)
      return { verdict: "delivered", status, error: null, retryAfterMs: null };
    const location = status < 400 ? headers.get("location") : null;
    return {
      verdict: status === 410 ? "gone" : "failed",
      status,
      error: hide(`answered ${status}${location === null ? "" : redirectionTo(location, url)}`),
      retryAfterMs: parseRetryAfter(headers.get("retry-after"), clock()),
    };
  }
}

/** @throws NoAnswer `hopeless` if a header cannot be sent */
function headersOf(headers: OutgoingRequest["headers"], host: string): Headers {
  try {
    const all = new Headers(headers);
    all.set("host", host);
    // The answer is not inflated.
    all.set("accept-encoding", "identity");
    if (!all.has("user-agent")) all.set("user-agent", "hookonce");
    return all;
  } catch (error) {
    // The message names the header, not its value.
    throw new NoAnswer(`the message cannot be sent: ${messageOf(error)}`, "hopeless");
  }
}

/** The query is left out, because it may hold a secret. */
function redirectionTo(location: string, url: string): string {
  const target = URL.canParse(location, url) ? new URL(location, url) : undefined;
  const where = target === undefined ? "elsewhere" : `to ${(target.origin + target.pathname).slice(0, 300)}`;
  return ` and redirects ${where}. Redirects are not followed: write the final address as url`;
}

/** Too short for a secret: each of its occurrences would be replaced in every text. */
const MIN_SECRET = 4;

/** A value such as `Bearer TOKEN` is also hidden where only the token is repeated. */
function spellingsOf(secret: string): string[] {
  return [secret, secret.slice(secret.indexOf(" ") + 1)].filter(({ length }) => length >= MIN_SECRET);
}

/** Settles as `value` does, but rejects as soon as the signal is aborted. */
function unlessAborted<Value>(signal: AbortSignal, value: Value | Promise<Value>): Promise<Value> {
  if (!(value instanceof Promise)) return Promise.resolve(value);
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Error("aborted"));
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    value.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
