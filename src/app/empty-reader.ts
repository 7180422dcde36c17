import type { Reader } from "../engines/reader.ts";

const NO_PAGE = { items: [], next: undefined };

const BEGINNING = { position: 0, failure: 0, mark: "", failureMark: "" };

const NOTHING_FOLLOWED = { event: 0, failure: 0, change: 0 };

/** The reader of a database in which hookonce has not started yet. */
export const EMPTY: Reader = {
  owed: () => NO_PAGE,
  recorded: () => NO_PAGE,
  owedByType: () => [],
  find: () => [],
  countKnown: () => ({ known: 0, owed: 0, settled: [] }),
  failure: () => undefined,
  due: () => [],
  events: () => NO_PAGE,
  followed: () => NOTHING_FOLLOWED,
  changes: () => ({ items: [], isCut: false, followed: NOTHING_FOLLOWED }),
  lastPlace: () => BEGINNING,
  placeBefore: () => BEGINNING,
  hasPlace: ({ position }) => position === 0,
  arrivals: () => ({ items: [], upTo: BEGINNING, isMore: false }),
  event: () => undefined,
  failures: () => NO_PAGE,
  failureGroups: () => ({ groups: [], capped: false }),
  rollups: () => [],
  seen: () => [],
  matchedSecrets: () => [],
  audit: () => [],
  tokens: () => [],
  token: () => undefined,
  jobs: () => [],
  unendedJobs: () => [],
  job: () => undefined,
  dueMessages: () => [],
  messageBytes: () => 0,
  nextDue: () => null,
  message: () => undefined,
  hasEnqueued: () => false,
  cutCommands: () => [],
  messages: () => NO_PAGE,
  messagesWritten: () => NO_PAGE,
  listed: () => [],
  lastMessage: () => 0,
  messageDetails: () => [],
  messagesOf: () => [],
  depths: () => [],
  paused: () => [],
  space: () => ({ usedBytes: 0, freeBytes: 0, canShrink: false }),
  discardedByRetention: () => ({ count: 0, lastAt: null }),
  storedBytes: () => [],
  hasPayload: () => false,
  alerts: () => [],
  sourceStates: () => [],
};
