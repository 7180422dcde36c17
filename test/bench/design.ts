export type DesignName =
  | "ceiling"
  | "no-commit"
  | "hookonce"
  | "one-per-event"
  | "tutorial"
  | "duplicates"
  | "stored";

/** A server to measure, and the load to send to it. */
export interface Design {
  readonly name: DesignName;
  readonly title: string;
  /**
   * - `new events`: each event is sent once. The report says so if the run had too few of them.
   * - `duplicates`: the events of the warm-up are sent again and again.
   * - `anything`: the server remembers nothing, so events may repeat.
   */
  readonly load: "new events" | "duplicates" | "anything";
  readonly command: (where: {
    readonly port: number;
    readonly folder: string;
    /** The compiled hookonce. */
    readonly binary: string;
  }) => string[];
  /** Counts the events that the server has stored, to compare with the answers. */
  readonly stored?: (folder: string) => { readonly database: string; readonly sql: string };
  /** Starts on a database with many events. */
  readonly onStored?: boolean;
}
