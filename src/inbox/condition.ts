/** What needs attention. This file has only types, so that the browser may import it. */

export type AlertName =
  | "handler_failing"
  | "source_paused"
  | "source_silent"
  | "old_hold"
  | "dead_messages"
  | "disk_low";

/** What a condition is about. Two conditions with the same subject are one. */
export interface Subject {
  readonly alert: AlertName;
  readonly source?: string;
  /** The file, relative to the inbox folder. */
  readonly handler?: string;
  readonly destination?: string;
}

export interface Condition {
  readonly subject: Subject;
  /** Since when, as far as it is known, in Unix milliseconds. */
  readonly since: number;
  /** A sentence. */
  readonly title: string;
  /** What follows from it, and what to do, in sentences; empty if there is nothing to add. */
  readonly more: string;
  /** The latest error of its handler, as it was thrown. Alerts leave it out: it may contain data of a customer. */
  readonly error: string | null;
}
