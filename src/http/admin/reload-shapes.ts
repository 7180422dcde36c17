/** What the API answers to a reload. This file has only types, so that the browser may import it. */

/** One thing that is wrong. `file` is relative to the inbox folder, `line` counts from 1. */
export interface ProblemJson {
  readonly file: string | null;
  readonly line: number | null;
  readonly message: string;
}

export interface ReloadedJson {
  readonly status: "reloaded";
  readonly sources: readonly string[];
  readonly handlers: readonly string[];
  readonly destinations: readonly string[];
  readonly warnings: readonly ProblemJson[];
  /** What came of `all` at the other nodes. `problem` is null if a node has loaded its folder. */
  readonly nodes: readonly { readonly name: string; readonly problem: string | null }[];
}

export interface ReloadRefusedJson {
  readonly error: {
    readonly code: "reload_refused";
    readonly message: string;
    readonly problems: readonly ProblemJson[];
    readonly warnings: readonly ProblemJson[];
  };
}
