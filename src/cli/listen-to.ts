import { connectAdmin } from "../app/apply.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { StatusJson } from "../http/admin/shapes.ts";
import type { OutgoingMessage, Sender } from "../outbox/sender.ts";
import { createUrlSender, type Sign } from "../outbox/url-sender.ts";
import { createForwardSigner, type SignForward } from "../providers/sign-again.ts";
import type { SourceSettings } from "../providers/source.ts";
import { answerOf } from "./answer.ts";
import type { ListenSources } from "./listen-sources.ts";

/** What became of an event. */
export type Brought =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly isGood: boolean;
      /** The word of an inbox, such as `processed`. */
      readonly said: string | null;
      /** The first line of the answer. */
      readonly line: string;
      readonly ms: number;
    }
  /** It cannot be sent, now or later. */
  | { readonly kind: "skipped"; readonly why: string }
  /** Nobody took it, so it is to be sent again. */
  | { readonly kind: "unreached"; readonly why: string; readonly afterMs: number }
  | { readonly kind: "stopped" };

/** Where events are brought to. */
export interface To {
  readonly words: string;
  readonly key: string;
  /** Whether it takes events that are not signed. */
  readonly takesUnsigned: boolean;
  readonly deliver: (message: OutgoingMessage, stop: AbortSignal) => Promise<Brought>;
}

/** In milliseconds. Somebody may look at the event in a debugger. */
const APP_MS = 60_000;
const INBOX_MS = 30_000;

export function toUrl(url: string, sources: ListenSources): To {
  const sign = createSigning(sources, () => url);
  const sender = createUrlSender({
    url,
    timeoutMs: APP_MS,
    sign,
    secrets: sources.secrets,
    clock: Date.now,
  });
  return {
    // Without the query, which may hold a secret.
    words: url.replace(/[?#].*$/s, ""),
    key: url,
    takesUnsigned: true,
    deliver: async (message, stop) => {
      const problem = await problemOf(sign, message, url);
      return problem ?? broughtBy(await sender.send(message, stop));
    },
  };
}

/** The `serve` of this folder, wherever it listens. */
export function toFolder(folder: string, database: string | undefined, sources: ListenSources): To {
  let open: { readonly url: string; readonly sender: Sender } | undefined;
  // The URL that is signed is the one that the inbox verifies.
  const sign = createSigning(sources, ({ publicUrl }, url) => publicUrl ?? url);

  async function reach(): Promise<Sender> {
    const admin = await connectAdmin({ folder, database });
    const status =
      admin === undefined ? undefined : await answerOf<StatusJson>(await admin.client.api.status.$get());
    const serving = status?.serving ?? undefined;
    if (serving === undefined)
      throw new HookonceError("not_serving", "hookonce serve is not running in this folder");
    const url = `${serving.url}/webhook/{source}`;
    if (open?.url !== url)
      open = {
        url,
        sender: createUrlSender({
          url,
          timeoutMs: INBOX_MS,
          sign,
          secrets: sources.secrets,
          clock: Date.now,
        }),
      };
    return open.sender;
  }

  return {
    words: "this inbox",
    key: database ?? "this inbox",
    takesUnsigned: false,
    async deliver(message, stop) {
      let sender: Sender;
      try {
        sender = open?.sender ?? (await reach());
      } catch (error) {
        if (!(error instanceof HookonceError) || error.code === "config_invalid") throw error;
        return { kind: "unreached", why: error.message, afterMs: 0 };
      }
      const problem = await problemOf(sign, message, `http://localhost/webhook/${message.source}`);
      if (problem !== undefined) return problem;
      const result = broughtBy(await sender.send(message, stop));
      // It may listen elsewhere once it has been restarted.
      if (result.kind === "unreached") open = undefined;
      if (result.kind !== "answered") return result;
      const { word, text } = answerOfInbox(result.line);
      // Nothing is recorded then, as while it starts or stops.
      if (result.status === 503) return { kind: "unreached", why: text || "it answered 503", afterMs: 0 };
      return { ...result, said: word, line: text };
    },
  };
}

/**
 * Signs as the provider does. Deliveries that cannot be signed again have the signature that they came with.
 *
 * @param signedUrl what the receiver takes for the URL
 */
function createSigning(
  sources: ListenSources,
  signedUrl: (settings: SourceSettings, url: string) => string,
): Sign {
  const settingsOf = (name: string): SourceSettings | undefined => {
    const source = sources.of(name);
    return "problem" in source ? undefined : source.settings;
  };
  const signer = (sign: "provider" | "none"): SignForward =>
    createForwardSigner({ sign, secret: undefined, headers: {} }, settingsOf);
  const [signed, unsigned] = [signer("provider"), signer("none")];
  return async (message, url, nowMs) => {
    const source = sources.of(message.source);
    if ("problem" in source) throw new HookonceError("unknown_source", source.problem);
    const asSigned = signedUrl(source.settings, url);
    const request = await (source.unsigned === undefined ? signed : unsigned)(message, asSigned, nowMs);
    if (asSigned === url) return request;
    const made = new URL(url);
    made.search = new URL(request.url).search;
    return { ...request, url: made.href };
  };
}

/** Why a message cannot be signed. An attempt would only say that it failed. */
async function problemOf(sign: Sign, message: OutgoingMessage, url: string): Promise<Brought | undefined> {
  try {
    await sign(message, url.replaceAll(/\{[^{}]*\}/g, "x"), Date.now());
    return undefined;
  } catch (error) {
    return { kind: "skipped", why: messageOf(error) };
  }
}

function broughtBy({
  verdict,
  status,
  error,
  answer,
  ms,
  retryAfterMs,
}: Awaited<ReturnType<Sender["send"]>>): Brought {
  if (verdict === "interrupted") return { kind: "stopped" };
  if (status === null)
    return verdict === "hopeless"
      ? { kind: "skipped", why: error ?? "it cannot be sent" }
      : { kind: "unreached", why: error ?? "no answer", afterMs: retryAfterMs ?? 0 };
  const isGood = verdict === "delivered";
  const line = answer.trimStart().split("\n", 1)[0] ?? "";
  // A redirect has no text that says more.
  return {
    kind: "answered",
    status,
    isGood,
    said: null,
    line: status < 400 && !isGood ? (error ?? line) : line,
    ms,
  };
}

/** What an inbox says in its answer: one word, and more if it refused the event. */
function answerOfInbox(line: string): { readonly word: string | null; readonly text: string } {
  try {
    const { status, error } = JSON.parse(line) as {
      status?: unknown;
      error?: { code?: unknown; message?: unknown };
    };
    if (typeof status === "string") return { word: status, text: "" };
    if (typeof error?.code === "string") return { word: error.code, text: String(error.message) };
  } catch {
    // Some providers want another answer.
  }
  return { word: null, text: line };
}
