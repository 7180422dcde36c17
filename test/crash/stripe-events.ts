import { createHmac } from "node:crypto";
import { z } from "zod";

export const secret = "whsec_for_the_crash_tests";

/** What every event credits. The sum in the user's table is this times the number of events. */
export const centsPerEvent = 7;

export interface SignedEvent {
  readonly id: string;
  readonly body: string;
}

const padding = "x".repeat(700);

/** An event of about 1 kB. Its id grows with time, as Stripe's ids do. */
export function makeEvent(run: string, n: number): SignedEvent {
  const id = `evt_${run}_${String(n).padStart(7, "0")}`;
  const object = { id: `cs_${n}`, customer: `cus_${n % 97}`, amount_total: centsPerEvent, padding };
  const body = JSON.stringify({ id, object: "event", type: "checkout.session.completed", data: { object } });
  return { id, body };
}

/** Signs the body with a new timestamp for each delivery, as Stripe does. */
export function signatureHeader(body: string, nowMs = Date.now()): string {
  const seconds = Math.floor(nowMs / 1000);
  const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${signature}`;
}

export interface Answer {
  readonly httpStatus: number;
  /** "processed" or "duplicate" if the HTTP status is 200. */
  readonly status: string | undefined;
  /** The error code, if the answer is an error. */
  readonly code: string | undefined;
  readonly retryAfter: string | null;
}

const answerBody = z.object({
  status: z.string().optional(),
  error: z.object({ code: z.string() }).optional(),
});

/** Delivers an event once. Rejects if no complete answer arrives. */
export async function deliver(url: string, event: SignedEvent, signal?: AbortSignal): Promise<Answer> {
  const response = await fetch(`${url}/webhook/stripe`, {
    method: "POST",
    headers: { "content-type": "application/json", "stripe-signature": signatureHeader(event.body) },
    body: event.body,
    ...(signal && { signal }),
  });
  const answer = answerBody.parse(await response.json());
  return {
    httpStatus: response.status,
    status: answer.status,
    code: answer.error?.code,
    retryAfter: response.headers.get("retry-after"),
  };
}
