/** What a receiver said to one delivery. */
export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  /** For each event of the delivery: `processed`, `duplicate`, …; `accepted` where a 2xx does not say more, an error's code or the text otherwise. */
  readonly said: readonly string[];
  readonly ms: number;
}

/** The sender hung up before it had read the answer. */
export const LOST = "answer not read";

/** @param events how many the delivery brought */
export function readAnswer(status: number, text: string, events: number, ms: number): Answer {
  const said = saidIn(text);
  if (said !== undefined && said.length === events) return { status, said, ms };
  const one =
    said?.[0] ?? (status >= 200 && status < 300 ? "accepted" : text.slice(0, 100).trim() || "no body");
  return { status, said: Array.from({ length: events }, () => one), ms };
}

/** As hookonce answers; undefined for what somebody else says. */
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

const TAKEN = new Set(["processed", "duplicate", "unhandled", "accepted"]);

export interface Expectation {
  /** 401 is wanted: it was tampered with, is stale or signed with another secret. */
  readonly refused: boolean;
  /** Every delivery is an event of its own. */
  readonly neverDuplicate: boolean;
  /** The event may have been delivered in an earlier run. */
  readonly maybeKnown: boolean;
  /** The answers are in the order of the deliveries. */
  readonly inOrder: boolean;
}

/**
 * Looks at all answers to the deliveries of one event.
 *
 * @param lost how many were not read
 * @returns what is wrong with them, in words
 */
export function wrongWith(
  answers: readonly { status: number; said: string }[],
  lost: number,
  { refused, neverDuplicate, maybeKnown, inOrder }: Expectation,
): string[] {
  const wrong: string[] = [];
  for (const { status, said } of answers) {
    if (refused ? status !== 401 : status < 200 || status > 299 || !TAKEN.has(said))
      wrong.push(`got ${status === 0 ? "" : `${status} `}${said}, where ${refused ? "401" : "200"} is right`);
  }
  if (refused || wrong.length > 0) return wrong;
  const words = answers.map(({ said }) => said);
  const processed = words.filter((word) => word === "processed").length;
  const duplicates = words.filter((word) => word === "duplicate").length;
  if (neverDuplicate) {
    if (duplicates > 0) wrong.push("got duplicate, although each of these pings is an event of its own");
    return wrong;
  }
  if (processed > 1) wrong.push(`was processed ${processed} times`);
  if (processed === 0 && duplicates > 0 && lost === 0 && !maybeKnown)
    wrong.push("got duplicate without ever having been processed");
  if (inOrder && lost === 0 && processed === 1 && words[0] === "duplicate")
    wrong.push("got duplicate before it was processed");
  if (processed > 0 && words.includes("unhandled")) wrong.push("was both processed and unhandled");
  return wrong;
}
