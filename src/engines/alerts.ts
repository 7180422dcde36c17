import type { MaybePromise } from "./outbox.ts";

/** What is stored of alerts. The key of an alert says what it is about. */

export interface StoredAlert {
  readonly key: string;
  /** When its condition began, in Unix milliseconds, as are all times here. */
  readonly since: number;
  /** When it was seen first. */
  readonly seenAt: number;
  /** When the message was written that it has begun. Null: none is written yet. */
  readonly beganAt: number | null;
  /** Since when its condition is not seen any more. Null: it is. */
  readonly goneAt: number | null;
}

/** Entries that change nothing, because the alert is not in the state that they are for, write no message. */
export type AlertEntry = {
  readonly entry: "alert";
  readonly key: string;
  readonly at: number;
} & (
  | { readonly change: "seen"; readonly since: number }
  /** `dropped`: its condition has ended before it became an alert. */
  | { readonly change: "gone" | "back" | "dropped" }
  | {
      readonly change: "began" | "ended";
      /** Who is told, in the same transaction. */
      readonly destination: string;
      /** JSON. */
      readonly body: string;
    }
);

export interface AlertReader {
  alerts(): MaybePromise<readonly StoredAlert[]>;
}
