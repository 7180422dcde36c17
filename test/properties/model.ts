import type { TestInbox } from "../support/test-inbox.ts";

/**
 * A model of what hookonce promises. An event is in one of three states, and a delivery moves it to another
 * state. The order of concurrent deliveries is not promised, so the model takes the answers as given and
 * checks that they are consistent.
 */

export const TYPES = ["paid", "refunded", "disputed"] as const;
export type Type = (typeof TYPES)[number];

export interface DeliveryOf {
  /** The number of the event. It also decides the event's type. */
  event: number;
  /** With `fails`, what makes this body differ from other deliveries of the same event. */
  cents: number;
  /** Whether the handler always fails on this body. */
  fails: boolean;
}

export type Answer = "processed" | "duplicate" | "unhandled" | "failed";

interface EventState {
  state: "new" | "unhandled" | "processed";
  /** The stored body of an unhandled event, or the applied body of a processed one. */
  body: DeliveryOf | null;
  deliveries: number;
  failedAttempts: number;
}

export class Model {
  readonly handled = new Set<Type>();
  /** Whether every handler fails, because a table says so. */
  broken = false;
  private readonly events = new Map<number, EventState>();

  /**
   * Records the answers to a group of concurrent deliveries.
   *
   * @throws Error if the answers are impossible
   */
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
    // An unhandled event is applied with its stored body, whatever later deliveries contain.
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
          `event ${event}: answered ${answer}, but its handler ${fails(delivery) ? "fails" : "does not fail"}`,
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

  /** The effects of all processed events, each once. */
  effects(): object[] {
    return [...this.events]
      .filter(([, { state }]) => state === "processed")
      .map(([event, { body }]) => ({ event_id: idOf(event), cents: body?.cents }))
      .sort(byId);
  }

  /** The recorded events. */
  listed(): object[] {
    return [...this.events]
      .filter(([, { state }]) => state !== "new")
      .map(([event, { state, deliveries }]) => ({ event_id: idOf(event), outcome: state, deliveries }))
      .sort(byId);
  }

  /** The failures of events that are still owed. */
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

/** Finds which of the concurrent deliveries was first. The stored body must be the body of one of them. */
function storedBody(inbox: TestInbox, event: number, mine: readonly { delivery: DeliveryOf }[]): DeliveryOf {
  const body = inbox.value(
    "select bytes as body from hookonce_events e join hookonce_results r on r.event = e.id join hookonce_bodies b on b.id = r.body where event_id = ?",
    idOf(event),
  ) as Uint8Array;
  const text = new TextDecoder().decode(body);
  const first = mine.find(({ delivery }) => bodyOf(delivery) === text);
  if (first === undefined) throw new Error(`event ${event}: the stored body was never delivered: ${text}`);
  return first.delivery;
}

export function bodyOf({ event, cents, fails }: DeliveryOf): string {
  return JSON.stringify({ event_id: idOf(event), type: typeOf(event), cents, fails });
}
