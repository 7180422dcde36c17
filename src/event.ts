/** What hookonce moves through its rooms. This file imports nothing. */

/** Header names in lower case; repeated headers joined by ", ". */
export type Headers = Readonly<Record<string, string>>;

/** One HTTP request to a source, as it arrived. The same event may arrive in many deliveries. */
export interface Delivery {
  readonly method: string;
  /** Path and query as requested. */
  readonly url: string;
  readonly headers: Headers;
  /** The raw bytes: what is verified, and what is stored. */
  readonly body: Uint8Array;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  /** The peer's address, or null where there is no socket. */
  readonly remoteAddress: () => string | null;
}

/** What identifies an event and decides its handler. */
export interface Identity {
  /** 1 to 255 bytes of UTF-8 without control characters; unique within its source. */
  readonly id: string;
  /** May be empty where the source does not say. */
  readonly type: string;
}

/** An event as a handler sees it. */
export interface Event extends Identity {
  readonly source: string;
  /** Unix milliseconds, of the first delivery. */
  readonly receivedAt: number;
  /** The JSON value of the body (for a form body, an object of its fields); null when it is neither. */
  readonly payload: unknown;
  /** Without Authorization, cookies and static secrets. */
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** What became of an event. */
export type Outcome = "processed" | "duplicate" | "unhandled" | "failed";

/** An HTTP answer that somebody spelled out: a handler, or a provider's handshake. */
export interface Reply {
  readonly status: number;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
