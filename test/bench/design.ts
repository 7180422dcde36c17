export type DesignName =
  | "ceiling"
  | "no-commit"
  | "hookonce"
  | "one-per-event"
  | "tutorial"
  | "duplicates"
  | "stored";

/** A server under load, and what load. */
export interface Design {
  readonly name: DesignName;
  readonly title: string;
  /**
   * - `new events`: each is sent once; the run says so when it had too few of them.
   * - `duplicates`: those of the warm-up, over and over.
   * - `anything`: nothing is remembered, so that repeating them changes nothing.
   */
  readonly load: "new events" | "duplicates" | "anything";
  readonly command: (where: {
    readonly port: number;
    readonly folder: string;
    /** The compiled hookonce. */
    readonly binary: string;
  }) => string[];
  /** How many events it has stored: what was answered is counted against it. */
  readonly stored?: (folder: string) => { readonly database: string; readonly sql: string };
  /** Starts on a database that is large already. */
  readonly onStored?: boolean;
}
