/** The types that every part shares. This file imports nothing. */

/** Headers with names in lower case. Repeated headers are joined by ", ". */
export type Headers = Readonly<Record<string, string>>;

/** One HTTP request to a source, as it arrived. The same event may arrive in many deliveries. */
export interface Delivery {
  readonly method: string;
  /** Path and query as requested. */
  readonly url: string;
  readonly headers: Headers;
  /** The raw bytes as received. They are verified, and they are stored. */
  readonly body: Uint8Array;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  /** Returns the peer's address, or null if there is no socket. */
  readonly remoteAddress: () => string | null;
}

/** A delivery whose body has not been read yet. */
export type Head = Omit<Delivery, "body" | "receivedAt">;

/** The id and type of an event. With the source, the id identifies it; the type selects its handler. */
export interface Identity {
  /** 1 to 255 bytes of UTF-8 without control characters, unique within its source. */
  readonly id: string;
  /** Empty if the delivery does not name a type. */
  readonly type: string;
}

/** An event as its handler receives it. */
export interface Event extends Identity {
  readonly source: string;
  /** Unix milliseconds, of the first delivery. */
  readonly receivedAt: number;
  /** The JSON value of the body, an object of the fields of a form body, or null if the body is neither. */
  readonly payload: unknown;
  /** The files of a multipart/form-data body. */
  readonly files: readonly EventFile[];
  /** Without Authorization, cookies and static secrets. */
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A file in a multipart/form-data body, or a field whose bytes are not text. */
export interface EventFile {
  /** The name of its field. */
  readonly field: string;
  /** As its sender wrote it; null for a field. */
  readonly filename: string | null;
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** What became of an event, or how a delivery was answered. */
export type Outcome =
  | "processed"
  | "duplicate"
  | "unhandled"
  | "ignored"
  | "stale"
  | "held"
  | "imported"
  | "discarded"
  | "failed";

/** An HTTP answer that a handler or a handshake defines. */
export interface Reply {
  readonly status: number;
  /** Header names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
