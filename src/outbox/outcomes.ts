import type { StoredMessage } from "../engines/outbox.ts";
import type { AttemptNext, MessageEntry } from "../engines/records.ts";
import type { OutboxLog } from "./log.ts";
import { createProbing, type Probing } from "./probing.ts";
import type { Recorder } from "./recorder.ts";
import { nextAfter } from "./schedule.ts";
import type { AttemptResult } from "./sender.ts";
import type { DestinationActivity } from "./view.ts";

export interface OutcomeOptions {
  readonly name: string;
  /** A reload may change them. */
  readonly settings: () => Pick<DestinationActivity, "kind"> & { readonly retryForMs: number };
  readonly recorder: Pick<Recorder, "record">;
  readonly log: OutboxLog;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Called once an attempt is recorded. */
  readonly onAttempt?: ((destination: string, result: AttemptEnd) => void) | undefined;
}

/** How an attempt ended. An interrupted one was cut short by a stop, or could not begin yet. */
export type AttemptEnd = "delivered" | "failed" | "interrupted";

type AttemptEntry = Extract<MessageEntry, { entry: "attempt" }>;

/** Handles the results of a destination's attempts. */
export interface Outcomes {
  /** Records an attempt, logs it, and pauses or probes the destination. */
  note(message: StoredMessage, result: AttemptResult, sent: Sent): void;
  /** Makes a message dead that cannot be read. */
  refuse(row: number, why: string): void;
  readonly probing: Probing;
  paused: DestinationActivity["paused"];
  activity(sending: number): DestinationActivity;
}

interface Sent {
  /** When the attempt began, in Unix milliseconds. */
  readonly at: number;
  /** Whether the destination was being probed then. */
  readonly isProbe: boolean;
}

export function createOutcomes(
  options: OutcomeOptions & {
    /** Called once the result of a row is durable. */
    readonly onSettled: (row: number) => void;
  },
): Outcomes {
  const { name, settings, recorder, log, clock, random, onSettled, onAttempt = () => {} } = options;
  const probing = createProbing();
  let paused: DestinationActivity["paused"] = null;
  let lastDeliveredAt: number | null = null;
  let lastFailure: DestinationActivity["lastFailure"] = null;

  function probe({ verdict }: AttemptResult, isProbe: boolean): void {
    if (verdict === "delivered" && probing.succeeded())
      log.info({ destination: name }, "the destination works again, and gets its messages as before");
    // A message that can never be sent says nothing about the destination.
    if ((verdict === "failed" || verdict === "gone") && probing.failed(isProbe))
      log.warn(
        { destination: name, failures: probing.failures },
        "the destination is failing: it gets one message at a time until one is delivered",
      );
  }

  function pause(reason: string): void {
    if (paused !== null) return;
    const at = clock();
    paused = { reason, since: at };
    void recorder.record({ entry: "destination", name, state: "paused", reason, at });
    void recorder.record({
      entry: "audit",
      change: { at, actor: "hookonce", action: "pause", target: name, reason },
    });
    log.error(
      { destination: name, reason, next: `hookonce resume ${name}` },
      "the destination is paused, and its messages wait",
    );
  }

  async function record(entry: AttemptEntry): Promise<void> {
    await recorder.record(entry);
    const { state } = entry.next;
    onAttempt(name, state === "delivered" || state === "interrupted" ? state : "failed");
    onSettled(entry.message);
  }

  function report(message: StoredMessage, result: AttemptResult, next: AttemptNext, now: number): void {
    const { id, source, eventId, attempts } = message;
    const { verdict, status, error, ms } = result;
    const fields = {
      destination: name,
      message: id,
      ...(eventId === "" ? {} : { source, event: eventId }),
      attempt: attempts + 1,
      ...(status === null ? {} : { status }),
      ms,
      ...(error === null ? {} : { cause: error }),
    };
    if (verdict === "delivered") return log.debug(fields, "message delivered");
    if (next.state === "dead")
      return log.error(
        { ...fields, next: `hookonce resend ${id}` },
        "a message is dead: it was not delivered, and it is kept",
      );
    const waitMs = "nextAt" in next ? next.nextAt - now : 0;
    if (verdict === "interrupted" && waitMs <= 0) return log.info(fields, "an attempt was interrupted");
    log.warn(
      { ...fields, again_in_s: Math.ceil(waitMs / 1000) },
      verdict === "interrupted" ? "a message cannot be sent yet" : "a message was not delivered",
    );
  }

  return {
    probing,
    get paused() {
      return paused;
    },
    set paused(value) {
      paused = value;
    },
    note(message, result, { at, isProbe }) {
      const now = clock();
      const { row, tries, since } = message;
      const { verdict, status, error, answer, ms } = result;
      const next = nextAfter(result, { tries, since, retryForMs: settings().retryForMs }, now, random());
      if (verdict === "delivered") lastDeliveredAt = now;
      else if (verdict !== "interrupted") lastFailure = { at: now, status, error: error ?? "" };
      report(message, result, next, now);
      probe(result, isProbe);
      if (verdict === "gone") pause(error ?? "answered 410");
      void record({ entry: "attempt", message: row, at, ms, status, error, answer, next });
    },
    refuse(row, why) {
      log.error(
        { destination: name, row, cause: why },
        "a message is dead: it was not delivered, and is kept",
      );
      void record({
        entry: "attempt",
        message: row,
        at: clock(),
        ms: 0,
        status: null,
        error: why,
        answer: "",
        next: { state: "dead" },
      });
    },
    activity: (sending) => ({
      name,
      kind: settings().kind,
      paused,
      isProbing: probing.isOn,
      failuresInARow: probing.failures,
      sending,
      lastDeliveredAt,
      lastFailure,
    }),
  };
}
