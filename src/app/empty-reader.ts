import type { Reader } from "../engines/reader.ts";

const NO_PAGE = { items: [], next: undefined };

/** The reader of a database in which hookonce has not started yet. */
export const EMPTY: Reader = {
  owed: () => NO_PAGE,
  recorded: () => NO_PAGE,
  lastRecorded: () => 0,
  owedByType: () => [],
  find: () => [],
  failure: () => undefined,
  due: () => [],
  events: () => NO_PAGE,
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
  job: () => undefined,
};
