import { deliver, makeEvent, type SignedEvent } from "./stripe-events.ts";

const clients = 32;
/** The share of deliveries that repeat an earlier event, whose first delivery may still be running. */
const duplicateShare = 0.2;
/** The share of deliveries whose client disconnects within 3 ms, so that the answer may be lost. */
const lostAnswerShare = 0.05;

/** What a provider knows: the events it has sent, and those answered 200. */
export class Ledger {
  readonly sent: SignedEvent[] = [];
  readonly answered = new Set<string>();
  /** Answers other than 200 and 503, as "status code". */
  readonly unexpected: string[] = [];
  constructor(private readonly run: string) {}

  newEvent(): SignedEvent {
    const event = makeEvent(this.run, this.sent.length);
    this.sent.push(event);
    return event;
  }

  anySentEvent(): SignedEvent {
    // Prefers recent events: a retry is most dangerous while the event is still being processed.
    const back = Math.floor(Math.random() ** 4 * this.sent.length);
    return this.sent[this.sent.length - 1 - back] ?? this.newEvent();
  }
}

/**
 * Delivers new events and duplicates from 32 clients at once, until `stop()` or until the server is gone. The
 * ledger has every event whose 200 a client read completely.
 */
export function startLoad(url: string, ledger: Ledger): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const client = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const event = Math.random() < duplicateShare ? ledger.anySentEvent() : ledger.newEvent();
      const losesAnswer = Math.random() < lostAnswerShare;
      const signal = losesAnswer ? AbortSignal.timeout(Math.ceil(Math.random() * 3)) : undefined;
      try {
        const answer = await deliver(url, event, signal);
        if (answer.httpStatus === 200) ledger.answered.add(event.id);
        else if (answer.httpStatus !== 503) ledger.unexpected.push(`${answer.httpStatus} ${answer.code}`);
      } catch {
        if (!losesAnswer) return; // the server is gone
      }
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  return {
    async stop() {
      stopping.abort();
      await all;
    },
  };
}

export interface Redelivery {
  readonly processed: Set<string>;
  readonly refused: string[];
}

/**
 * Delivers everything ever sent once more, 32 at a time. Returns the ids that the server processed as new.
 */
export async function redeliverAll(url: string, ledger: Ledger): Promise<Redelivery> {
  const processed = new Set<string>();
  const refused: string[] = [];
  const queue = ledger.sent.values();
  const client = async (): Promise<void> => {
    for (const event of queue) {
      const answer = await deliver(url, event);
      if (answer.httpStatus !== 200) refused.push(`${event.id}: ${answer.httpStatus} ${answer.code}`);
      else if (answer.status === "processed") processed.add(event.id);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { processed, refused };
}
