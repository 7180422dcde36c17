import { createHmac } from "node:crypto";
import type { Payment } from "./payments.ts";

export interface PlannedDelivery {
  readonly payment: Payment;
  /** The sender hangs up before it has read the answer, so it must deliver again. */
  readonly losesAnswer: boolean;
}

export interface StormOptions {
  /** How often each payment is delivered, not counting retries after lost answers. */
  readonly copies: number;
  /** The share of deliveries whose answer is lost, 0 to 1. */
  readonly lostShare: number;
  /** At least 0 and below 1. */
  readonly random: () => number;
}

/** All deliveries in the order in which they are sent. Planned once, so that each receiver gets the same. */
export function planStorm(payments: readonly Payment[], options: StormOptions): PlannedDelivery[] {
  const { copies, lostShare, random } = options;
  const plan = payments.flatMap((payment) =>
    Array.from({ length: copies }, () => ({ payment, losesAnswer: random() < lostShare })),
  );
  return shuffle(plan, random);
}

/** The Fisher–Yates shuffle: every order is equally likely. */
function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other] as Item, shuffled[last] as Item];
  }
  return shuffled;
}

export interface StormReport {
  /** Requests sent, retries included. */
  readonly deliveries: number;
  /** How many of these the sender hung up on before the answer. */
  readonly answersLost: number;
  readonly ms: number;
}

export interface SendOptions {
  readonly url: string;
  readonly secret: string;
  /** Connections that deliver at the same time. */
  readonly senders: number;
  /** Ends the storm early. */
  readonly signal: AbortSignal;
}

/** Stripe waits 10 s for an answer. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Long enough for the request to arrive, too short for most answers. One that arrives is thrown away. */
const HANG_UP_MS = 3;
/** A provider waits minutes before it delivers again; the demo cannot. */
const RETRY_AFTER_MS = 20;
const MAX_ATTEMPTS = 20;

/**
 * Delivers the plan as a provider does: signs each attempt again, and repeats it until it has read a 2xx.
 *
 * @throws Error if a delivery is not answered 2xx in 20 attempts; the signal's reason if it is aborted
 */
export async function sendStorm(
  plan: readonly PlannedDelivery[],
  { url, secret, senders, signal }: SendOptions,
): Promise<StormReport> {
  const startedAt = performance.now();
  const queue = plan.values();
  let deliveries = 0;
  let answersLost = 0;

  const deliver = async (payment: Payment, losesAnswer: boolean): Promise<string> => {
    deliveries++;
    const timeout = AbortSignal.timeout(losesAnswer ? HANG_UP_MS : ANSWER_TIMEOUT_MS);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", "stripe-signature": sign(payment.body, secret) },
        body: payment.body,
        signal: AbortSignal.any([signal, timeout]),
      });
      const answer = await response.text();
      if (!losesAnswer) return response.ok ? "ok" : `${response.status} ${answer}`;
    } catch {
      signal.throwIfAborted();
    }
    answersLost++;
    return "lost";
  };
  const sender = async (): Promise<void> => {
    for (const { payment, losesAnswer } of queue) {
      for (let attempt = 1; ; attempt++) {
        const answer = await deliver(payment, losesAnswer && attempt === 1);
        signal.throwIfAborted();
        if (answer === "ok") break;
        if (attempt === MAX_ATTEMPTS) throw new Error(`${url} does not accept ${payment.eventId}: ${answer}`);
        await Bun.sleep(RETRY_AFTER_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: senders }, sender));
  return { deliveries, answersLost, ms: performance.now() - startedAt };
}

/** @returns a Stripe-Signature header: https://docs.stripe.com/webhooks#verify-manually */
function sign(body: string, secret: string): string {
  const seconds = Math.floor(Date.now() / 1000);
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
