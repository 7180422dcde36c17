/** A process that uses the database. */
export interface NodeJson {
  /** The host and the inbox folder. */
  readonly name: string;
  /** What it has loaded: null while it starts. Nodes with the same config or handlers have the same hash. */
  readonly version: string | null;
  readonly config: string | null;
  readonly handlers: string | null;
  readonly started_at: number;
  readonly last_seen_at: number;
  /** Whether nothing was heard of it for 10 s. After 30 s, others go on with what it did. */
  readonly silent: boolean;
}
