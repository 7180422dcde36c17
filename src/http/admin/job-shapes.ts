/** How the API shows jobs. Times are Unix milliseconds. This file has only types, as shapes.ts has. */

export interface JobJson {
  readonly id: string;
  readonly action: "apply" | "replay" | "discard" | "resend" | "import" | "forget";
  readonly actor: string;
  readonly reason: string | null;
  readonly dry_run: boolean;
  /** Its events or messages, in words, such as `type:invoice.* limit:3`. */
  readonly target: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly state: "running" | "done" | "stopped" | "failed";
  /** Why it could not continue. */
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly groups: readonly JobGroupJson[];
  /** The first 20, with events that were skipped. */
  readonly failures: readonly JobFailureJson[];
  /** What a dry run tried and rolled back; null if nothing was. */
  readonly tried: TriedJson | null;
  /** hookonce was killed during the job and lost some of its counts: it did at least so much. */
  readonly at_least?: true | undefined;
  /** Of an import. */
  readonly imported: ImportedJson | null;
  /** Of `forget`. */
  readonly erased?: ErasedJson | undefined;
}

/** What `forget` has looked through and erased beside events. */
export interface ErasedJson {
  readonly rows: number;
  readonly messages: number;
  readonly texts: number;
  /** Refused deliveries, which are in memory alone. */
  readonly requests: number;
  /** `held`: a reader keeps the files from being wiped. */
  readonly log: "erased" | "held" | null;
}

/** What became of the events of one source, type and outcome, or of the messages of one destination as well. */
export interface JobGroupJson {
  /** Of messages. */
  readonly destination?: string | undefined;
  readonly source: string;
  readonly type: string;
  /** Their outcome before; of messages, their state. */
  readonly outcome: string;
  /** Null if there is none. */
  readonly handler: string | null;
  /** Only counted by a dry run. */
  readonly would_run: number;
  readonly processed: number;
  readonly failed: number;
  readonly discarded: number;
  /** Sent again or sent to a destination: their messages wait. */
  readonly resent: number;
  readonly stale: number;
  /** Not run, because the handler hung or ended the process. */
  readonly quarantined: number;
  /** Not run, because their source is paused. */
  readonly held: number;
  readonly no_handler: number;
  readonly already_done: number;
  /** Named by their ids, but not in the state that the action is for. */
  readonly unfit: number;
  /** Run although the handler had hung or ended the process, because somebody named them by their ids. */
  readonly forced: number;
  /** Their payloads were erased. */
  readonly forgotten: number;
  /** Not forgotten, because they are owed. */
  readonly left: number;
}

export interface JobFailureJson {
  /** The id of a message. */
  readonly message?: string | undefined;
  readonly source: string;
  readonly event_id: string;
  readonly type: string;
  readonly code: string;
  readonly error: string;
  /** Where the error was thrown, if that is known. */
  readonly at?: string | undefined;
}

export interface TriedJson {
  readonly events: number;
  readonly failed: number;
  readonly tables: readonly {
    readonly table: string;
    readonly inserted: number;
    readonly updated: number;
    readonly deleted: number;
  }[];
  /** Why the others were not tried; null if all were. */
  readonly why: string | null;
}

export interface ImportedJson {
  readonly fresh: number;
  readonly known: number;
  readonly owed: number;
  readonly old: number;
  /** The ids of the first that were owed, at most 20. */
  readonly settled: readonly string[];
}
