import type { TestInbox } from "../support/test-inbox.ts";

/**
 * What hookonce promises, in as few words as a program allows: an event is in one of three states, and a delivery moves it on.
 * Which of several concurrent deliveries comes first is not promised, so the model takes the answers as given and says whether they
 * can be true together.
 */

export const TYPES = ["paid", "refunded", "disputed"] as const;
export type Type = (typeof TYPES)[number];

export interface DeliveryOf {
  /** Which event; its type goes with it. */
  event: number;
  /** The body differs from other deliveries of the same event by this alone. */
  cents: number;
  /** Whether the handler fails on this body, whatever else. */
  fails: boolean;
}

export type Answer = "processed" | "duplicate" | "unhandled" | "failed";

interface EventState {
  state: "new" | "unhandled" | "processed";
  /** What is stored when it is unhandled, what was applied when it is processed. */
  body: DeliveryOf | null;
  deliveries: number;
  failedAttempts: number;
}

export class Model {
  readonly handled = new Set<Type>();
  /** A table of the user's, by which every handler fails. */
  broken = false;
  private readonly events = new Map<number, EventState>();

  /** What a group of concurrent deliveries was answered. @throws when the answers cannot be */
  delivered(group: readonly DeliveryOf[], answers: readonly Answer[], inbox: TestInbox): void {
    for (const event of new Set(group.map((delivery) => delivery.event))) {
      const mine = group
        .map((delivery, n) => ({ delivery, answer: answers[n] as Answer }))
        .filter(({ delivery }) => delivery.event === event);
      this.moved(event, mine, inbox);
    }
  }

  private moved(
    event: number,
    mine: readonly { delivery: DeliveryOf; answer: Answer }[],
    inbox: TestInbox,
  ): void {
    const state = this.stateOf(event);
    state.deliveries += mine.length;
    const expectOnly = (...allowed: Answer[]): void => {
      const other = mine.find(({ answer }) => !allowed.includes(answer));
      if (other !== undefined) throw new Error(`event ${event}, ${state.state}: answered ${other.answer}`);
    };
    if (state.state === "processed") {
      expectOnly("duplicate");
      return;
    }
    if (!this.handled.has(typeOf(event))) {
      expectOnly("unhandled");
      if (state.state === "new") state.body = storedBody(inbox, event, mine);
      state.state = "unhandled";
      return;
    }
    // What an unhandled event is applied with is its stored body, whatever later deliveries hold.
    const fails = (delivery: DeliveryOf): boolean => this.broken || (state.body ?? delivery).fails;
    state.failedAttempts += mine.filter(({ answer }) => answer === "failed").length;
    if (mine.every(({ delivery }) => fails(delivery))) {
      expectOnly("failed");
      return;
    }
    expectOnly("processed", "duplicate", "failed");
    const processed = mine.filter(({ answer }) => answer === "processed");
    if (processed.length !== 1) throw new Error(`event ${event}: processed ${processed.length} times`);
    for (const { delivery, answer } of mine) {
      if (answer !== "duplicate" && fails(delivery) !== (answer === "failed"))
        throw new Error(
          `event ${event}: ${answer}, although its handler ${fails(delivery) ? "fails" : "does not"}`,
        );
    }
    state.body ??= processed[0]?.delivery ?? null;
    state.state = "processed";
  }

  private stateOf(event: number): EventState {
    let state = this.events.get(event);
    if (state === undefined) {
      state = { state: "new", body: null, deliveries: 0, failedAttempts: 0 };
      this.events.set(event, state);
    }
    return state;
  }

  /** The effects of the set of distinct successful events: each once. */
  effects(): object[] {
    return [...this.events]
      .filter(([, { state }]) => state === "processed")
      .map(([event, { body }]) => ({ event_id: idOf(event), cents: body?.cents }))
      .sort(byId);
  }

  /** The guest list. */
  listed(): object[] {
    return [...this.events]
      .filter(([, { state }]) => state !== "new")
      .map(([event, { state, deliveries }]) => ({ event_id: idOf(event), outcome: state, deliveries }))
      .sort(byId);
  }

  /** Events that have failed and are still to be applied. */
  openFailures(): object[] {
    return [...this.events]
      .filter(([, { state, failedAttempts }]) => state !== "processed" && failedAttempts > 0)
      .map(([event, { failedAttempts }]) => ({ event_id: idOf(event), attempts: failedAttempts }))
      .sort(byId);
  }
}

export function idOf(event: number): string {
  return `evt_${event}`;
}

export function typeOf(event: number): Type {
  return TYPES[event % TYPES.length] as Type;
}

export function byId(a: { event_id: string }, b: { event_id: string }): number {
  return a.event_id < b.event_id ? -1 : 1;
}

/** Which of the concurrent deliveries was first is read from what is stored; it must be one of them. */
function storedBody(inbox: TestInbox, event: number, mine: readonly { delivery: DeliveryOf }[]): DeliveryOf {
  const body = inbox.value(
    "select body from hookonce_deliveries join hookonce_events on delivery_id = hookonce_deliveries.id where event_id = ?",
    idOf(event),
  ) as Uint8Array;
  const text = new TextDecoder().decode(body);
  const first = mine.find(({ delivery }) => bodyOf(delivery) === text);
  if (first === undefined) throw new Error(`event ${event}: what is stored was never delivered: ${text}`);
  return first.delivery;
}

export function bodyOf({ event, cents, fails }: DeliveryOf): string {
  return JSON.stringify({ event_id: idOf(event), type: typeOf(event), cents, fails });
}
