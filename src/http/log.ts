import type { Logger } from "pino";
import { detailOf, HookonceError, messageOf } from "../errors.ts";
import type { Result } from "../engines/engine.ts";
import { placeOf } from "../engines/error-place.ts";
import { QUARANTINE_CODES } from "../engines/reader.ts";
import type { HandshakeDone } from "../providers/handshake.ts";
import type { Source } from "../providers/source.ts";
import { statuses } from "./statuses.ts";

/**
 * Writes one line for each delivery, with its outcome and cause. Never logs a body, the value of a header or
 * a signature.
 */
export interface DeliveryLog {
  received(source: Pick<Source, "name" | "typePlace">, received: Result, startedAt: number): void;
  /** Logs a handshake, which carries no event, and shows the user any secret that arrived with it. */
  handshake(source: string, done: HandshakeDone, startedAt: number): void;
  /** Logs a delivery that was refused before anything was recorded. */
  rejected(source: string, error: unknown, startedAt: number): void;
  /** Logs why /readyz is answered 503. */
  unready(error: unknown): void;
}

export interface DeliveryLogOptions {
  readonly terminal?: boolean | undefined;
  readonly writeLine?: ((fields: string) => void) | undefined;
}

/**
 * The most different warnings that are written. Anyone who can reach an unsigned source can make up a million
 * types.
 */
const MAX_WARNED = 1000;

/**
 * @param options.terminal whether the log is on a terminal, and not kept. Only then it shows secrets that
 *   arrive
 * @param options.writeLine writes a line from its fields in JSON. It is used for every delivery that did not fail and
 *   whose body did not change, which is nearly all of them. Building such a line by hand takes 3 µs instead
 *   of the logger's 10 µs; a delivery takes 40 µs in all. Without it, the logger writes these lines as well.
 */
export function createDeliveryLog(
  log: Logger,
  { terminal = false, writeLine }: DeliveryLogOptions = {},
): DeliveryLog {
  const warned = new Set<string>();
  const once = (key: string): boolean => {
    if (warned.has(key) || warned.size >= MAX_WARNED) return false;
    warned.add(key);
    return true;
  };
  const warn = (
    { name: source, typePlace }: Pick<Source, "name" | "typePlace">,
    { outcome, type, handler, rowsChanged, isTest = false }: Result,
  ): void => {
    if (isTest && outcome !== "duplicate" && once(`test ${source}`))
      log.warn(
        { source },
        outcome === "ignored"
          ? 'a test event was ignored, and so are later ones (test_events = "ignore")'
          : 'test events arrive and are applied like others. To ignore or refuse them, set test_events to "ignore" or "refuse"',
      );
    if (type === "" && typePlace !== undefined && once(`no type ${source}`))
      log.warn(
        { source },
        `this source looks for the type at ${typePlace}, but nothing is there, so the event has no type. Correct type in hookonce.toml if it should have one`,
      );
    if (outcome === "processed" && handler !== null && rowsChanged === 0 && once(`rows ${handler}`)) {
      log.warn(
        { source, type, handler },
        "the handler changed no rows: did an UPDATE match nothing, or was a query built but not run?",
      );
    }
    if ((outcome === "unhandled" || (outcome === "ignored" && !isTest)) && once(`type ${source} ${type}`)) {
      log.warn(
        { source, type },
        outcome === "ignored"
          ? 'no handler for this type: only the id is kept (unhandled = "ignore")'
          : "no handler for this type: the event is kept. Add a handler, then run hookonce reload and hookonce apply",
      );
    }
  };
  return {
    received(from, received, startedAt) {
      const { name: source } = from;
      const { outcome, eventId, type, handler, rowsChanged, changedBody, error, isAccepted } = received;
      if (writeLine !== undefined && outcome !== "failed" && !changedBody) {
        writeLine(fieldsOf(source, received, elapsed(startedAt)));
        warn(from, received);
        return;
      }
      const line: Record<string, unknown> = { source, event: eventId, type, outcome, ms: elapsed(startedAt) };
      if (handler !== null) line["handler"] = handler;
      if (outcome === "processed" && handler !== null) line["rows"] = rowsChanged;
      if (changedBody) line["changed_body"] = true;
      if (outcome === "failed") {
        const code = error instanceof HookonceError ? error.code : "handler_error";
        line["code"] = code;
        line["cause"] = messageOf(error);
        const at = placeOf(error);
        if (at !== undefined) line["at"] = at;
        if (isAccepted === true) line["answered"] = 200;
        const next = nextStep(code, received);
        // A person who watches the log needs it once.
        if (!terminal || once(`next ${String(handler)} ${next}`)) line["next"] = next;
        log.error(line, "delivery");
        if (received.isTest === true) warn(from, received);
        return;
      }
      log.info(line, "delivery");
      warn(from, received);
    },
    handshake(source, { handshake, secret }, startedAt) {
      log.info({ source, handshake, ms: elapsed(startedAt) }, "handshake");
      if (secret !== undefined) {
        log.warn(
          terminal ? { source, secret: secret.text } : { source },
          `a secret arrived, and anyone may have sent it.${terminal ? "" : ` To see it, run: hookonce verify --last --source ${source}.`} Enter it at the provider first: the provider accepts only its own secret. If it does, put the secret into .env, name it as the secret of this source, and restart.${secret.last ? ` No more are logged until then. For the latest 20, run: hookonce verify --last --source ${source}.` : ""}`,
        );
      }
    },
    rejected(source, error, startedAt) {
      const known = error instanceof HookonceError && statuses[error.code] !== undefined ? error : undefined;
      const line = {
        source,
        outcome: "rejected",
        code: known?.code ?? "internal",
        cause: messageOf(error),
        // Not for other statuses: the cause of a refused body may quote it.
        detail: known !== undefined && statuses[known.code] === 503 ? detailOf(known) : undefined,
        ms: elapsed(startedAt),
      };
      if (known === undefined) log.error({ ...line, err: error }, "delivery");
      else log.warn(line, "delivery");
    },
    unready(error) {
      const code = error instanceof HookonceError ? error.code : "internal";
      log.warn({ code, cause: messageOf(error), detail: detailOf(error) }, "not ready");
    },
  };
}

/** What to do about a failed event. */
function nextStep(code: string, { handler, isAccepted = false }: Result): string {
  if (code === "version_tie") return "Run hookonce apply ID or hookonce discard ID: nothing else ends it.";
  const change = `${handler === null ? "Add a handler" : "Correct the handler"} and run hookonce reload`;
  if ((QUARANTINE_CODES as readonly string[]).includes(code))
    return `${change}. Until the handler changes, only hookonce apply ID runs the event again.`;
  const who = isAccepted ? "hookonce itself" : "the provider's next retry";
  return `${change}: ${who}, or hookonce apply ID, runs the event again.`;
}

/** The fields that the logger would write, in the same order. */
function fieldsOf(
  source: string,
  { outcome, eventId, type, handler, rowsChanged }: Result,
  ms: number,
): string {
  const ran =
    (handler === null ? "" : `,"handler":${JSON.stringify(handler)}`) +
    (outcome === "processed" && handler !== null ? `,"rows":${rowsChanged}` : "");
  return `"source":"${source}","event":${JSON.stringify(eventId)},"type":${JSON.stringify(type)},"outcome":"${outcome}","ms":${ms}${ran}`;
}

/** Milliseconds since `startedAt`, rounded to a tenth. */
function elapsed(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10;
}
