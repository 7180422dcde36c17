/** What a receiver answered to one delivery. */
export interface Answer {
  /** 0 if there was no answer. */
  readonly status: number;
  /**
   * For each event of the delivery: `processed`, `duplicate`, …; `accepted` for a 2xx without an outcome;
   * otherwise the code of the error, or the text of the answer.
   */
  readonly said: readonly string[];
  readonly ms: number;
}

/** The sender hung up before it read the answer. */
export const LOST = "answer not read";

/** The receiver's port is closed. */
export const NOTHING_LISTENS = "no answer: nothing listens";

/** @param events how many events the delivery carried */
export function readAnswer(status: number, text: string, events: number, ms: number): Answer {
  const said = saidIn(text);
  if (said !== undefined && said.length === events) return { status, said, ms };
  const one =
    said?.[0] ?? (status >= 200 && status < 300 ? "accepted" : text.slice(0, 100).trim() || "no body");
  return { status, said: Array.from({ length: events }, () => one), ms };
}

/** The outcome of each event in an answer of hookonce; undefined if the answer has another form. */
function saidIn(text: string): string[] | undefined {
  let body: { status?: unknown; error?: { code?: unknown }; events?: unknown } | null;
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return undefined;
  }
  if (body?.status === "batch" && Array.isArray(body.events))
    return body.events.map((event) => wordOf(event) ?? "accepted");
  const word = wordOf(body);
  return word === undefined ? undefined : [word];
}

function wordOf(body: unknown): string | undefined {
  const { status, error } = (body ?? {}) as { status?: unknown; error?: { code?: unknown } };
  if (typeof error?.code === "string") return error.code;
  return typeof status === "string" ? status : undefined;
}

/** An event is `held` only while its source is paused. */
const TAKEN = new Set(["processed", "duplicate", "unhandled", "held", "ignored", "stale", "accepted"]);
const NOT_APPLIED = new Set(["ignored", "duplicate", "accepted"]);

/** What `test_events` does with a test: 200 without a run, or 403. */
export type TestAnswer = "ignored" | "refused";

export interface Expectation {
  /** 401 is expected, because the delivery was tampered with, is stale, or was signed with another secret. */
  readonly refused: boolean;
  /** What the source's `test_events` does with the event, if the event says that it is a test. */
  readonly test?: TestAnswer | undefined;
  /** Every delivery is a new event. */
  readonly neverDuplicate: boolean;
  /** The event may have been delivered in an earlier run. */
  readonly maybeKnown: boolean;
  /** The answers are in the order of the deliveries. */
  readonly inOrder: boolean;
}

/**
 * Checks all answers to the deliveries of one event.
 *
 * @param lost how many answers were not read
 * @returns what is wrong with them, as text
 */
export function wrongWith(
  answers: readonly { status: number; said: string }[],
  lost: number,
  { refused, test, neverDuplicate, maybeKnown, inOrder }: Expectation,
): string[] {
  const wrong: string[] = [];
  for (const { status, said } of answers) {
    const isTaken = status >= 200 && status <= 299;
    const expected = refused
      ? "401"
      : test === "refused"
        ? "403 test_event"
        : test === "ignored"
          ? "200 ignored"
          : "200";
    const isRight = refused
      ? status === 401
      : test === "refused"
        ? said === "test_event"
        : isTaken && (test === "ignored" ? NOT_APPLIED : TAKEN).has(said);
    if (!isRight) wrong.push(`got ${status === 0 ? "" : `${status} `}${said}, expected ${expected}`);
  }
  if (refused || test === "refused" || wrong.length > 0) return wrong;
  const words = answers.map(({ said }) => said);
  const processed = words.filter((word) => word === "processed").length;
  const duplicates = words.filter((word) => word === "duplicate").length;
  if (neverDuplicate) {
    if (duplicates > 0) wrong.push("got duplicate, although each of these pings is a separate event");
    return wrong;
  }
  if (processed > 1) wrong.push(`was processed ${processed} times`);
  const recorded = words.filter((word) => word === "ignored" || word === "stale" || word === "held").length;
  if (processed + recorded === 0 && duplicates > 0 && lost === 0 && !maybeKnown)
    wrong.push("got duplicate, but was never processed");
  if (inOrder && lost === 0 && processed === 1 && words[0] === "duplicate")
    wrong.push("got duplicate before it was processed");
  if (processed > 0 && words.includes("unhandled")) wrong.push("was both processed and unhandled");
  return wrong;
}
