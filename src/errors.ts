/**
 * Every way hookonce says no. A code is public interface: it stands in answers, logs and failure rows.
 * HTTP statuses and exit codes are mapped at the edges (http/statuses.ts, cli/exit.ts), never here.
 */
export type ErrorCode =
  // the delivery is not what the source promised
  | "invalid_json"
  | "invalid_utf8"
  | "json_too_deep"
  | "missing_event_id"
  | "invalid_event_id"
  | "invalid_event_type"
  | "not_a_batch"
  | "incomplete_body"
  // it could not be shown to come from the provider
  | "signature_missing"
  | "signature_malformed"
  | "signature_mismatch"
  | "timestamp_missing"
  | "timestamp_invalid"
  | "timestamp_stale"
  | "timestamp_in_future"
  | "unsigned_not_loopback"
  | "handshake_refused"
  // its key or certificate could not be fetched
  | "key_unavailable"
  // the request is not one for us
  | "unknown_source"
  | "not_found"
  | "invalid_query"
  | "method_not_allowed"
  | "body_too_large"
  | "unsupported_content_encoding"
  // not now; nothing recorded, the provider's retry brings it back
  | "overloaded"
  | "disk_full"
  | "out_of_memory"
  | "database_locked"
  | "starting"
  | "shutting_down"
  // the handler is at fault
  | "handler_error"
  | "handler_async"
  | "handler_finished"
  | "handler_ended_transaction"
  | "invalid_reply"
  | "statement_refused"
  | "no_rows_changed"
  | "no_handler"
  | "constraint_at_commit"
  // the start is refused
  | "config_invalid"
  | "handlers_invalid"
  | "migration_invalid"
  | "migration_edited"
  | "migration_out_of_order"
  | "migration_missing"
  | "migration_failed"
  | "database_newer"
  | "database_unusable"
  | "database_in_use"
  | "not_in_wal_mode"
  | "event_id_rule_changed"
  | "listen_failed"
  | "folder_not_empty"
  // the signature doctor cannot read what it was given
  | "request_unreadable"
  // nothing that should happen
  | "storage_failed"
  | "internal";

/** One thing that is wrong, and where. `file` is a path as the user knows it; `line` counts from 1. */
export interface Problem {
  message: string;
  file?: string | undefined;
  line?: number | undefined;
}

export interface ErrorDetails {
  cause?: unknown;
  /** Everything that is wrong, when a start or a check is refused for several reasons at once. */
  problems?: readonly Problem[];
}

/** The one error type. `message` is written for its reader: it names the field, the value and the remedy. */
export class HookonceError extends Error {
  override readonly name = "HookonceError";
  readonly problems: readonly Problem[];

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.problems = details.problems ?? [];
  }
}

/** The text of anything thrown, for logs and failure rows. Whatever is thrown, this is not. */
export function messageOf(thrown: unknown): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : thrown;
    return String(message);
  } catch {
    return "something was thrown that cannot be written as text";
  }
}

/** Where it was thrown, when it says so: of an error of hookonce's own that tells of another, where that one was. */
export function stackOf(thrown: unknown): string | null {
  try {
    const error = thrown instanceof HookonceError && thrown.cause instanceof Error ? thrown.cause : thrown;
    const stack: unknown = error instanceof Error ? error.stack : null;
    return typeof stack === "string" ? stack : null;
  } catch {
    return null;
  }
}

/** What the file system says of a file, as a problem with it. */
export function unreadable(file: string, error: unknown): Problem {
  return { file, message: `cannot be read: ${messageOf(error)}` };
}
