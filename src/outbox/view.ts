/** What a running serve knows about its destinations that the database does not, and how to steer them. */
export interface OutboxView {
  /**
   * Whether this process is sending the message of this row now. Only a command's message is stored as `sending`:
   * one to a URL stays `waiting`, so that it is sent again after a crash.
   */
  isSending(row: number): boolean;
  /** The destinations of the config, in its order. */
  destinations(): readonly DestinationActivity[];
  /**
   * Sends nothing to a destination until somebody resumes it. What is being sent comes to its end. Resolves once
   * that is stored.
   *
   * @param reason shown wherever the destination is
   * @param actor the name of a token, or of a user of this machine
   * @throws HookonceError `unknown_destination`, and what a write is refused for
   */
  pause(name: string, reason: string | null, actor: string): Promise<void>;
  /**
   * Sends again. A destination that is being probed is tried at once.
   *
   * @throws HookonceError `unknown_destination`, and what a write is refused for
   */
  resume(name: string, actor: string): Promise<void>;
  /** Looks for due messages now. Otherwise it may take a second until a message that was changed is seen. */
  wake(name: string): void;
}

/** What was counted and seen since the start. All times are Unix milliseconds. */
export interface DestinationActivity {
  readonly name: string;
  readonly kind: "url" | "command";
  /** Null if it is open. Only this survives a restart. */
  readonly paused: { readonly reason: string | null; readonly since: number } | null;
  /** Whether it has failed so often that it gets one message at a time. */
  readonly isProbing: boolean;
  readonly failuresInARow: number;
  /** How many messages are being sent. */
  readonly sending: number;
  readonly lastDeliveredAt: number | null;
  /** The last attempt that failed. */
  readonly lastFailure: {
    readonly at: number;
    /** The HTTP status or the exit code; null if there is none. */
    readonly status: number | null;
    readonly error: string;
  } | null;
}
