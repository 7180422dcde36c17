import type { SendOptions } from "../../src/simulator/send.ts";

/** One right delivery of one event, sent once. */
export const plainSend = {
  events: 1,
  times: 1,
  batch: 1,
  concurrency: 1,
  shuffle: false,
  tamper: false,
  stale: false,
  wrongSecret: false,
  dropAnswers: false,
  clock: Date.now,
  random: Math.random,
} as const satisfies Partial<SendOptions>;
