import type { Outcome } from "../event.ts";

/** A line of hookonce's log, as far as it is read here. */
export interface DeliveryLine {
  readonly level: string;
  readonly msg: string;
  readonly source?: string;
  readonly event?: string;
  readonly type?: string;
  readonly outcome?: Outcome | "rejected";
  readonly handler?: string;
  readonly rows?: number;
  readonly code?: string;
  readonly cause?: string;
  readonly at?: string;
  readonly next?: string;
  readonly [field: string]: unknown;
}

/** What became of a delivery; `accepted` for one that carries no event. */
type AnsweredOutcome = Outcome | "refused" | "accepted";

/** What became of one event of a delivery. */
export interface AnsweredEvent {
  readonly id?: string;
  readonly type?: string;
  readonly outcome: AnsweredOutcome;
  readonly handler?: string;
  readonly rowsChanged?: number;
  readonly code?: string;
  readonly error?: string;
  readonly at?: string;
}

/** The answer to one delivery. `outcome`, `code` and `error` are those of its first event. */
export interface Answer {
  readonly status: number;
  readonly outcome: AnsweredOutcome;
  readonly code?: string;
  readonly error?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON value, else the text. */
  readonly body: unknown;
  readonly events: readonly AnsweredEvent[];
}

/** @param lines what was logged about the delivery: a line for each of its events */
export async function readAnswer(response: Response, lines: readonly DeliveryLine[]): Promise<Answer> {
  const text = await response.text();
  const events = lines.map(eventOf);
  const { outcome = "accepted", code, error } = events[0] ?? {};
  return {
    status: response.status,
    outcome,
    ...(code === undefined ? {} : { code }),
    ...(error === undefined ? {} : { error }),
    headers: response.headers.toJSON(),
    body: valueOf(text),
    events,
  };
}

function eventOf(line: DeliveryLine): AnsweredEvent {
  const { event, type, outcome = "accepted", handler, rows, code, cause, at } = line;
  return {
    ...(event === undefined ? {} : { id: event }),
    ...(type === undefined ? {} : { type }),
    outcome: outcome === "rejected" ? "refused" : outcome,
    ...(handler === undefined ? {} : { handler }),
    ...(rows === undefined ? {} : { rowsChanged: rows }),
    ...(code === undefined ? {} : { code }),
    ...(cause === undefined ? {} : { error: cause }),
    ...(at === undefined ? {} : { at }),
  };
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
