import type { AlertEntry } from "./alerts.ts";
import type { CommandRun } from "./outbox.ts";
import type { SourceEntry } from "./source-states.ts";
import type { SourceRule } from "./source-rule.ts";

/** What hookonce records beside the events: tokens, the audit list, jobs, counters and attempts to send. */

/** A token for the page and the API. Only its hash is stored. */
export interface Token {
  /** Unique among those that are not revoked. */
  readonly name: string;
  /** SHA-256 of the token, in hex. */
  readonly hash: string;
  readonly scopes: readonly string[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Null: never. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** A line of the audit list. */
export interface Change {
  readonly id: number;
  readonly at: number;
  /** The name of a token, or of the user on this machine. */
  readonly actor: string;
  /** For example `apply` or `token create`. */
  readonly action: string;
  /** What it was done to. */
  readonly target: string;
  readonly reason: string | null;
  /** The job that does it. */
  readonly job?: string | null | undefined;
  /** How many events or messages the job has changed. Null: it is one change, or an older version recorded it. */
  readonly count?: number | null | undefined;
}

/** A job that changes many events, as it is kept so that it can go on after a crash. */
export interface KeptJob {
  readonly id: string;
  readonly action: string;
  readonly actor: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Null while it runs, and after a crash. */
  readonly endedAt: number | null;
  /** JSON of the request. */
  readonly request: string;
  /** JSON of its progress. It may lag behind what the job has done. */
  readonly progress: string;
  /** Whether a process that lives runs it. Undefined: no other process can. */
  readonly isTaken?: boolean;
}

/** What is recorded of a job. */
export interface RecordedJob extends Omit<KeptJob, "isTaken"> {
  /** How many events or messages it has changed so far, for the audit list. */
  readonly changed: number;
}

/** Something to record. */
export type Entry =
  | { readonly entry: "token"; readonly token: Omit<Token, "revokedAt"> }
  | { readonly entry: "revoke"; readonly name: string; readonly at: number }
  | { readonly entry: "audit"; readonly change: Omit<Change, "id"> }
  /** Replaces what was kept of the job before. */
  | { readonly entry: "job"; readonly job: RecordedJob }
  /** This process goes on with an interrupted job. Refused if another one runs it (`job_running`). */
  | { readonly entry: "take job"; readonly id: string }
  /** Asks all other processes that use the database. Their answers are in `Reader.nodes`. */
  | { readonly entry: "ask nodes"; readonly request: string }
  /** A job that has changed nothing leaves no trace. */
  | { readonly entry: "no job"; readonly id: string }
  /** Adds to the refusals of the minute of `at`. */
  | { readonly entry: "refused"; readonly source: string; readonly at: number; readonly count: number }
  /**
   * The sources of a config that is loaded now. Refused as a start is (`event_id_rule_changed`).
   *
   * `dropped`: those that may be gone although their events are stored. `at` is now.
   */
  | {
      readonly entry: "sources";
      readonly rules: readonly SourceRule[];
      readonly dropped: readonly string[];
      readonly at: number;
    }
  | { readonly entry: "secret"; readonly source: string; readonly secret: string; readonly at: number }
  | MessageEntry
  | SourceEntry
  | AlertEntry
  /** A source is to resume whose pause is over, unless somebody has set another `until` since. `at` is now. */
  | { readonly entry: "pause over"; readonly name: string; readonly until: number; readonly at: number }
  /** The config has it no more and nothing of it is held: what has failed stays so. */
  | { readonly entry: "source gone"; readonly name: string }
  /** Adds what was counted since the last time to its minutes, hours and days, and removes old ones. `at` is now. */
  | { readonly entry: "rollups"; readonly at: number };

/** What is recorded of messages. */
export type MessageEntry =
  /** An attempt has ended. A message that was discarded meanwhile stays discarded. */
  | {
      readonly entry: "attempt";
      /** The message's row. */
      readonly message: number;
      /** Unix milliseconds. */
      readonly at: number;
      readonly ms: number;
      readonly status: number | null;
      readonly error: string | null;
      readonly answer: string;
      readonly next: AttemptNext;
    }
  /** A command begins to run, or runs in this process. It counts as an attempt. */
  | { readonly entry: "command started"; readonly message: number; readonly run: CommandRun | null }
  | {
      readonly entry: "destination";
      readonly name: string;
      readonly state: "open" | "paused";
      readonly reason: string | null;
      readonly at: number;
    }
  /** Makes messages of the rows that other processes have inserted. */
  | { readonly entry: "enqueued"; readonly at: number };

/** What follows after an attempt. */
export type AttemptNext =
  | { readonly state: "delivered" | "dead" }
  /** `nextAt` is in Unix milliseconds. */
  | { readonly state: "waiting"; readonly nextAt: number }
  /** It did not come to an end, and does not count as a try. */
  | { readonly state: "interrupted"; readonly nextAt: number };

export interface MatchedSecret {
  readonly source: string;
  /** As the config names it, such as `env:STRIPE_NEW`. */
  readonly secret: string;
  /** When it last verified a delivery, to the minute. */
  readonly at: number;
}
