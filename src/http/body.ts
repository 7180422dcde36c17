import { HookonceError, messageOf } from "../errors.ts";
import type { Admission } from "../providers/admission.ts";
import { createBodyBudget, type BudgetLimits, type Share } from "./body-budget.ts";
import { createCollector, freeLarge } from "./body-collector.ts";

export interface BodyLimits extends BudgetLimits {
  /** How long a body may pause, in milliseconds. */
  readonly pauseMs?: number;
  /** How long it may take in all, in milliseconds. */
  readonly wholeMs?: number;
}

export interface BodyReader {
  /**
   * Reads the raw bytes of the body. They are read exactly once, so the bytes that are verified and stored are
   * the bytes that were received. The caller must call {@link Body.release} once the answer is known.
   *
   * @param declared the Content-Length header, which the source's admission has compared with its limit
   * @throws HookonceError `overloaded`, `incomplete_body`, `body_timeout`, or what the admission throws for a
   *   body that is too large
   */
  read(request: Request, declared: string | undefined, admission: Admission): Promise<Body>;
}

export interface Body {
  readonly bytes: Uint8Array;
  /** Releases its memory. The bytes of a large body are freed at once: copy what is needed longer. */
  release(): void;
}

const PAUSE_MS = 10_000;
const WHOLE_MS = 60_000;

const NOTHING = new Uint8Array();

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

export function createBodyReader(limits: BodyLimits): BodyReader {
  const { pauseMs = PAUSE_MS, wholeMs = WHOLE_MS } = limits;
  const budget = createBodyBudget(limits);

  async function readBytes(
    request: Request,
    declared: number | undefined,
    admission: Admission,
    share: Share,
  ): Promise<Uint8Array> {
    // Bun forgets the body of a client that disconnects, unless this stream exists.
    const body: ReadableStream<Uint8Array> | null = request.body;
    if (body === null) return NOTHING;
    // A body that was sent with its headers is in the stream a moment later. To read it then takes as long as
    // request.arrayBuffer(), and 20 µs less than to wait for it.
    await nextTurn();
    const reader: Reader = body.getReader();
    const first = reader.read();
    if (Bun.peek.status(first) === "fulfilled") {
      const { value } = await first;
      if (value === undefined) return NOTHING;
      if (value.byteLength === declared) {
        if (!share.takeWhole(value.byteLength)) throw noRoom();
        return value;
      }
    }
    return readArriving(reader, first, declared, admission, share);
  }

  /** Nearly every body arrives at once. This is the way of those that are large or slow. */
  async function readArriving(
    reader: Reader,
    first: ReturnType<Reader["read"]>,
    declared: number | undefined,
    { maxBytes, refuse }: Admission,
    share: Share,
  ): Promise<Uint8Array> {
    const collector = createCollector(declared ?? maxBytes);
    let failure: HookonceError | undefined;
    const fail = (why: HookonceError): void => {
      failure ??= why;
      // Ends the pending read.
      reader.cancel().catch(() => {});
    };
    const pause = setTimeout(() => fail(timedOut(`paused for ${pauseMs / 1000} s`)), pauseMs);
    const whole = setTimeout(() => fail(timedOut(`took longer than ${wholeMs / 1000} s`)), wholeMs);
    share.wait(() => fail(noRoom(true)));
    try {
      for (let next = first; ; next = reader.read()) {
        const { value } = await next;
        if (failure !== undefined) throw failure;
        if (value === undefined) break;
        pause.refresh();
        if (collector.length + value.byteLength > maxBytes) throw refuse();
        if (!share.take(value.byteLength)) throw noRoom();
        collector.add(value);
        if (collector.length === declared) break;
      }
      share.complete();
      return collector.bytes();
    } catch (error) {
      collector.discard();
      reader.cancel().catch(() => {});
      throw failure ?? error;
    } finally {
      clearTimeout(pause);
      clearTimeout(whole);
    }
  }

  return {
    async read(request, declared, admission) {
      const share = budget.begin();
      if (share === undefined) throw noRoom();
      try {
        const length = declared === undefined ? undefined : Number(declared);
        const bytes = await readBytes(request, length, admission, share);
        return {
          bytes,
          release() {
            share.end();
            freeLarge(bytes);
          },
        };
      } catch (error) {
        share.end();
        if (error instanceof HookonceError) throw error;
        throw new HookonceError("incomplete_body", `The body is incomplete: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
  };
}

let turn: Promise<void> | undefined;

/**
 * Resolves once everything that the system has received so far is in memory. One promise serves everyone who
 * waits for the same turn. `setImmediate` would be a turn later, and a client that closes its sending side
 * after the request would then get no answer.
 */
function nextTurn(): Promise<void> {
  return (turn ??= Bun.sleep(0).then(() => {
    turn = undefined;
  }));
}

function timedOut(what: string): HookonceError {
  return new HookonceError("body_timeout", `The body ${what}. Send the delivery again.`);
}

function noRoom(evicted = false): HookonceError {
  return new HookonceError(
    "overloaded",
    evicted
      ? "The body paused while other deliveries needed its memory. Send it again."
      : "Too many deliveries are waiting. Try again later.",
  );
}
