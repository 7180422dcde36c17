import { HookonceError, messageOf } from "../errors.ts";
import type { Admission } from "../providers/admission.ts";
import { createBodyBudget, type BodyLimits, type DropReason, type Share } from "./body-budget.ts";
import { createCollector, freeLarge, isLarge } from "./body-collector.ts";

export interface BodyReader {
  /**
   * Reads the raw bytes of the body. They are read exactly once, so the bytes that are verified and stored
   * are the bytes that were received. The caller must call {@link Body.release} once the answer is known.
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

const NOTHING = new Uint8Array();

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

export function createBodyReader(limits: BodyLimits): BodyReader {
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
    let dropped: HookonceError | undefined;
    const isWaiting = share.wait((why) => {
      dropped = droppedFor(why, limits);
      // Ends the pending read.
      reader.cancel().catch(() => {});
    });
    try {
      if (!isWaiting) {
        first.catch(() => {}); // nothing waits for it any more
        throw noRoom();
      }
      for (let next = first; ; next = reader.read()) {
        const { value } = await next;
        if (dropped !== undefined) throw dropped;
        if (value === undefined) break;
        if (collector.length + value.byteLength > maxBytes) throw refuse();
        if (!share.take(value.byteLength)) throw noRoom();
        collector.add(value);
        if (collector.length === declared) break;
      }
      share.complete();
      if (isLarge(collector.length)) await turnForLarge();
      return collector.bytes();
    } catch (error) {
      collector.discard();
      reader.cancel().catch(() => {});
      throw dropped ?? error;
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

let lastLarge: Promise<unknown> = Promise.resolve();

/**
 * Resolves in a turn in which no other large body is verified. Hashing 25 MB takes 20 ms, and ten bodies that
 * end in the same turn would make every other delivery wait for 200 ms.
 */
function turnForLarge(): Promise<unknown> {
  return (lastLarge = lastLarge.then(() => Bun.sleep(1)));
}

function droppedFor(why: DropReason, { pauseMs, wholeMs }: BodyLimits): HookonceError {
  switch (why) {
    case "pause":
      return timedOut(`paused for ${pauseMs / 1000} s`);
    case "whole":
      return timedOut(`took longer than ${wholeMs / 1000} s`);
    case "room":
      return overloaded("The body arrived slowly while other deliveries needed its memory. Send it again.");
  }
}

function timedOut(what: string): HookonceError {
  return new HookonceError("body_timeout", `The body ${what}. Send the delivery again.`);
}

function noRoom(): HookonceError {
  return overloaded("Too many deliveries are waiting. Try again later.");
}

function overloaded(message: string): HookonceError {
  return new HookonceError("overloaded", message);
}
