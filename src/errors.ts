/**
 * Every error code. Codes are public interface: they appear in answers, logs and failure rows. HTTP statuses
 * and exit codes are mapped at the edges (http/statuses.ts, cli/exit.ts), never here.
 */
export type ErrorCode =
  // The delivery is malformed.
  | "invalid_json"
  | "invalid_utf8"
  | "invalid_multipart"
  | "invalid_xml"
  | "json_too_deep"
  | "too_many_fields"
  | "missing_event_id"
  | "invalid_event_id"
  | "invalid_event_type"
  | "not_a_batch"
  | "incomplete_body"
  | "body_timeout"
  // The delivery could not be authenticated.
  | "signature_missing"
  | "signature_malformed"
  | "signature_mismatch"
  | "timestamp_missing"
  | "timestamp_invalid"
  | "timestamp_stale"
  | "timestamp_in_future"
  | "unsigned_not_loopback"
  | "test_event"
  | "handshake_refused"
  // The key or certificate that verifies it could not be fetched.
  | "key_unavailable"
  // The request cannot be served.
  | "unknown_source"
  | "not_found"
  | "invalid_query"
  | "method_not_allowed"
  | "body_too_large"
  | "unsupported_content_encoding"
  | "unsupported_content_type"
  // The delivery cannot be accepted now. Nothing was recorded, and the provider's retry brings it back.
  | "overloaded"
  | "disk_full"
  | "out_of_memory"
  | "database_locked"
  | "database_unreachable"
  | "starting"
  | "shutting_down"
  | "source_paused"
  // The handler failed.
  | "handler_error"
  | "handler_async"
  | "handler_unfinished"
  | "invalid_return"
  | "handler_finished"
  | "handler_ended_transaction"
  | "handler_timeout"
  | "handler_died"
  | "invalid_reply"
  | "statement_refused"
  | "value_refused"
  | "no_rows_changed"
  | "no_handler"
  // It is not sent on.
  | "where_failed"
  | "unknown_destination"
  | "enqueue_refused"
  | "message_invalid"
  // newest_wins cannot tell whether the event is newer than the one that was applied.
  | "missing_key"
  | "invalid_key"
  | "missing_version"
  | "invalid_version"
  | "mixed_versions"
  | "version_tie"
  | "constraint_at_commit"
  | "stored_event_unreadable"
  // Retention has removed the payload of the event.
  | "payload_removed"
  // Values of the event were replaced, so it cannot be run or sent again.
  | "event_redacted"
  // A start is refused.
  | "config_invalid"
  | "handlers_invalid"
  | "migration_invalid"
  | "migration_edited"
  | "migration_out_of_order"
  | "migration_missing"
  | "migration_failed"
  | "database_newer"
  | "database_older"
  | "database_unusable"
  | "database_missing"
  | "database_in_use"
  // The inbox in it is on another engine now.
  | "inbox_moved"
  | "not_in_wal_mode"
  | "event_id_rule_changed"
  | "listen_failed"
  | "folder_not_empty"
  // A command asks for something that does not exist, or that is not unique.
  | "unknown_event"
  | "ambiguous_event"
  | "unknown_job"
  | "unknown_message"
  | "ambiguous_message"
  | "message_settled"
  | "message_sending"
  | "not_owed"
  | "event_owed"
  | "job_running"
  | "not_processed"
  | "reason_missing"
  // The caller uses the answer to a delivery, and the config does not say what it gets while the source is paused.
  | "held_reply_missing"
  | "unknown_handler"
  | "nothing_to_try"
  | "try_running"
  | "unknown_token"
  | "token_exists"
  | "fixture_not_written"
  | "event_not_stored"
  | "invalid_cursor"
  | "invalid_request"
  // A file to import is not what it should be. Nothing of it, or nothing more, is recorded.
  | "file_unreadable"
  // An inbox cannot be moved to another engine, or only a part of it was.
  | "move_refused"
  // A backup cannot be made, or a file is not a whole backup.
  | "backup_failed"
  | "backup_invalid"
  // The API refuses the request for who sent it, or from where.
  | "unauthenticated"
  | "scope_missing"
  | "origin_refused"
  | "host_refused"
  | "too_many_attempts"
  | "permission_denied"
  | "not_serving"
  | "reload_refused"
  | "serve_unreachable"
  // The signature doctor cannot read the saved request.
  | "request_unreadable"
  // The process can open no further file or connection.
  | "too_many_files"
  // Files of the open database were removed, moved, replaced or overwritten: the process ends.
  | "database_moved"
  // Code of the user dropped SQLite's locks: the process ends.
  | "database_unlocked"
  // An unexpected error.
  | "storage_failed"
  | "internal";

/** One thing that is wrong, and where it is. `file` is a path as the user wrote it. `line` counts from 1. */
export interface Problem {
  message: string;
  file?: string | undefined;
  line?: number | undefined;
}

export interface ErrorDetails {
  cause?: unknown;
  /** All problems, if a start or a check is refused for several reasons. */
  problems?: readonly Problem[];
  /** What is not refused, but perhaps not meant either. */
  warnings?: readonly Problem[];
  /** The key of a source that is at fault, as in TOML: `signature.signed`. */
  key?: string;
}

/** The only error type of hookonce. `message` names the field, the value and the remedy. */
export class HookonceError extends Error {
  override readonly name = "HookonceError";
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly key: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.problems = details.problems ?? [];
    this.warnings = details.warnings ?? [];
    this.key = details.key;
  }
}

/**
 * Returns the text of any thrown value, for logs and failure rows, cut at 64 KiB. Never throws.
 */
export function messageOf(thrown: unknown): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : thrown;
    return cutText(String(message));
  } catch {
    return "something was thrown that cannot be written as text";
  }
}

/**
 * Returns the text and the code of what caused an error, for logs: `database or disk is full (SQLITE_FULL)`.
 * Undefined if it has no cause. Do not log it for an error of a request: it may quote the body.
 */
export function detailOf(error: unknown): string | undefined {
  const cause = error instanceof HookonceError ? error.cause : undefined;
  return cause === undefined ? undefined : withCode(cause);
}

/** The text of an error of SQLite or of the system, with its code if the text does not name it. */
export function withCode(thrown: unknown): string {
  const text = messageOf(thrown);
  const code: unknown = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code !== "string" || text.includes(code) ? text : `${text} (${code})`;
}

/**
 * Returns the stack of a thrown value, cut at 64 KiB, or null. For a HookonceError with a cause, returns the
 * stack of the cause.
 *
 * @param place a frame that comes first, as `file:line`, unless the stack has one of this file
 */
export function stackOf(thrown: unknown, place?: string): string | null {
  try {
    const error = thrown instanceof HookonceError && thrown.cause instanceof Error ? thrown.cause : thrown;
    const stack: unknown = error instanceof Error ? error.stack : null;
    return typeof stack === "string" ? cutText(withFrame(stack, place)) : null;
  } catch {
    return null;
  }
}

function withFrame(stack: string, place: string | undefined): string {
  if (place === undefined || stack.includes(place.replace(/:\d+$/, ""))) return stack;
  const frames = /\n\s+at /.exec(stack)?.index ?? stack.length;
  return `${stack.slice(0, frames)}\n    at ${place}${stack.slice(frames)}`;
}

/** In bytes of UTF-8. A handler that included a response in its error stored 50 MB with every attempt. */
const MAX_TEXT = 64 * 1024;

/** The end is kept as well, because a stack repeats the message before its first frame. In bytes. */
const KEPT_END = 16 * 1024;

function cutText(text: string): string {
  // A UTF-16 unit takes at most three bytes.
  if (text.length * 3 <= MAX_TEXT) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_TEXT) return text;
  const mark = `\n[… cut here, because the text has ${bytes} bytes …]\n`;
  const begin = MAX_TEXT - KEPT_END - Buffer.byteLength(mark);
  const first = Buffer.from(text.slice(0, begin));
  const last = Buffer.from(text.slice(-KEPT_END));
  let to = begin;
  while (isInsideCharacter(first[to])) to--;
  let from = last.byteLength - KEPT_END;
  while (isInsideCharacter(last[from])) from++;
  return first.toString("utf8", 0, to) + mark + last.toString("utf8", from);
}

/** Whether this byte of UTF-8 continues a character. */
function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Describes a failed read of a file as a problem with that file. */
export function unreadable(file: string, error: unknown): Problem {
  return { file, message: `cannot be read: ${messageOf(error)}` };
}
