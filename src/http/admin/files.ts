/** A file of the dashboard, embedded in the binary. */
export interface DashboardFile {
  /** The `Content-Type`. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, compressed. Null if that is not smaller. */
  readonly gzip: Uint8Array<ArrayBuffer> | null;
  /** The hash of the bytes, in quotes. */
  readonly etag: string;
  /** Its name contains a hash of its bytes, so browsers may keep it for a year. */
  readonly immutable: boolean;
}

/** By path, such as `/` and `/assets/page-1a2b3c.js`. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>;
