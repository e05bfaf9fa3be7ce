/**
 * Every failure is a {@link TidelogError} with a stable `code`, the fields of its case and a link to
 * its entry in ERRORS.md. One table says which class and what words belong to a code; wasm reports
 * plain `{ code, message, …fields }` objects, which the same table turns into classes.
 */
import type { CoreError } from "./border.js";
import type { SchemaIssue } from "./schema.js";

const DOCS = "https://unpkg.com/tidelog/ERRORS.md#";

/** Fields of an error's case: they fill the `{…}` of its message and are kept on the error. */
export type ErrorFields = Readonly<Record<string, unknown>>;

/** The base of every error that Tidelog throws, rejects with or reports. */
export class TidelogError extends Error {
  /** Stable; safe to compare. */
  readonly code: string;
  /** What the case is about: `stream`, `expected`, `issues`, … */
  readonly fields: ErrorFields;
  /** Where the code is explained. */
  readonly docs: string;

  constructor(code: string, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = fields;
    this.docs = DOCS + code;
  }
}

/** The definition of a stream, projection or log is wrong: fix the code. */
export class DefinitionError extends TidelogError {}
/** An event or stream name that was given to the log is wrong. */
export class InvalidEventError extends TidelogError {
  /** What the schema found, if a schema found it. */
  get issues(): readonly SchemaIssue[] {
    return (this.fields.issues as readonly SchemaIssue[] | undefined) ?? [];
  }
}
/** A stream is not at the version that was expected. */
export class VersionConflictError extends TidelogError {}
/** A command said no. */
export class RefusedError extends TidelogError {}
/** The log cannot take a command now. */
export class NotReadyError extends TidelogError {}
/** The log was closed. */
export class ClosedError extends TidelogError {}
/** A fold, an upcaster or a command of the app threw, or met an event it does not know. */
export class FoldError extends TidelogError {}
/** The browser's storage refused, failed or lost something. */
export class StorageError extends TidelogError {}
/** The server or the way to it failed. */
export class SyncError extends TidelogError {}
/** The wasm module could not be had. */
export class LoadError extends TidelogError {}

type ErrorClass = typeof TidelogError;
type Entry = readonly [class_: ErrorClass, template: string];

/** Code → class and message. `{field}` is filled from the error's fields. */
export const ERRORS = {
  invalid_definition: [DefinitionError, "The definition of {subject} is wrong: {problem}."],
  unknown_stream_kind: [DefinitionError, "No stream of kind {kind} is declared in this log."],
  reentrant_call: [
    DefinitionError,
    "A fold or a command of {subject} called the log. Folds and commands are pure: return events instead.",
  ],
  unknown_event_type: [InvalidEventError, "No stream declares the event type {type} for {stream}."],
  invalid_payload: [InvalidEventError, "The payload of {type} does not fit its schema: {problem}."],
  invalid_stream: [
    InvalidEventError,
    "{stream} is not a stream: expected kind/key, at most 256 bytes, without control characters.",
  ],
  invalid_commit: [InvalidEventError, "The commit is not valid."],
  invalid_argument: [InvalidEventError, "An argument is not valid."],
  invalid_name: [InvalidEventError, "A name is not valid."],
  repeated_id: [InvalidEventError, "A commit with this id was appended already."],
  empty_commit: [InvalidEventError, "A commit needs at least one event."],
  commit_too_large: [InvalidEventError, "The commit is larger than a log takes."],
  nothing_to_undo: [InvalidEventError, "Commit {commit} cannot be undone: {problem}."],
  not_parked: [InvalidEventError, "No commit of this id is parked."],
  unknown_commit: [InvalidEventError, "This log holds no commit {commit}."],
  version_conflict: [
    VersionConflictError,
    "{stream} is at version {actual}, not at {expected} as expected.",
  ],
  refused: [RefusedError, "The command was refused ({reason}): {problem}."],
  not_ready: [
    NotReadyError,
    "The log {log} is still opening. Await log.ready() before the first command.",
  ],
  stream_blocked: [
    NotReadyError,
    "{stream} holds the event {type} (schema {schema}), which this code does not know: it takes no commands until the code is updated.",
  ],
  outside_filter: [
    NotReadyError,
    "{stream} is not on this device: only a part of the log is synced ({only}). Add the stream or its kind to sync.only to work on it.",
  ],
  closed: [ClosedError, "The log {log} is closed."],
  fold_failed: [
    FoldError,
    "The fold {fold} threw on {type} of {stream} version {version}: {problem}.",
  ],
  command_failed: [FoldError, "The command {command} of {stream} threw: {problem}."],
  merge_failed: [FoldError, "The merge of {stream} threw: {problem}."],
  async_command: [
    FoldError,
    "The command {command} of {stream} returned a promise. Commands decide at once.",
  ],
  corrupt_batch: [
    StorageError,
    "A batch of events at position {position} cannot be read: {problem}.",
  ],
  storage_unavailable: [StorageError, "This browser context offers no database."],
  quota_exceeded: [StorageError, "The browser's storage for this site is full."],
  transaction_aborted: [StorageError, "The database aborted the write."],
  connection_lost: [StorageError, "The connection to the database was lost."],
  upgrade_blocked: [StorageError, "Another tab keeps an older version of the database open."],
  database_too_new: [StorageError, "The local database was made by a newer build."],
  database_wiped: [StorageError, "The local database was deleted while it was open."],
  database_corrupt: [StorageError, "The local database holds damaged data."],
  log_tampered: [StorageError, "The log on this device is not the one that was written."],
  invalid_import: [InvalidEventError, "The import is wrong at {place}: {problem}."],
  import_mismatch: [InvalidEventError, "The frames do not continue this log."],
  core_failed: [TidelogError, "The core failed: {problem}."],
  unknown_outcome: [
    StorageError,
    "The connection was lost before the database said whether commit {commit} is stored.",
  ],
  not_stored: [StorageError, "Commit {commit} is not in the database."],
  network: [SyncError, "The server cannot be reached."],
  unauthorized: [SyncError, "The server asks to sign in."],
  forbidden: [SyncError, "The server does not allow this user to do that."],
  unknown_log: [SyncError, "The server has no such log, or not for this user."],
  payload_too_large: [SyncError, "The server refused the size of a push."],
  too_many_commits: [SyncError, "The server refused the number of commits of a push."],
  commit_oversized: [SyncError, "A commit is larger than the server takes."],
  rate_limited: [SyncError, "The server asks to slow down."],
  server_unavailable: [SyncError, "The server has a passing fault."],
  client_too_old: [SyncError, "This version of the app is too old for the server."],
  filter_replaced: [SyncError, "Another tab syncs another part of this log; reload this one."],
  history_changed: [SyncError, "The server has another history of this log."],
  history_not_available: [
    SyncError,
    "These events are not kept on this device, and the server, which has them, cannot be reached.",
  ],
  request_refused: [SyncError, "The server refused the request."],
  bad_answer: [SyncError, "The answer is not from a Tidelog server."],
  conflict: [VersionConflictError, "The commit conflicts with what others appended."],
  wasm_not_loaded: [LoadError, "The wasm module of Tidelog could not be loaded: {problem}."],
} as const satisfies Record<string, Entry>;

/** The codes of {@link ERRORS}. Newer cores may report others, as plain `TidelogError`s. */
export type ErrorCode = keyof typeof ERRORS;

/** The error of a code, its message filled with the fields. */
export function tidelogError(
  code: ErrorCode,
  fields: ErrorFields = {},
  cause?: unknown,
): TidelogError {
  const [Class, template] = ERRORS[code];
  const message = template.replace(/\{(\w+)\}/g, (_, name: string) => shown(fields[name]));
  return new Class(code, message, fields, cause);
}

/** `invalid_import` of a line, from 1. */
export function lineError(line: number, problem: string, cause?: unknown): TidelogError {
  return tidelogError("invalid_import", { line, place: `line ${line}`, problem }, cause);
}

/** What wasm threw or reported, as the class of its code. An error that is one already passes through. */
export function coreErrorToTidelogError(error: unknown): TidelogError {
  if (error instanceof TidelogError) return error;
  if (!isCoreError(error)) {
    // A panic, or a failure of the page itself.
    return tidelogError("core_failed", { problem: messageOf(error) }, error);
  }
  const { code, message, ...fields } = error;
  const Class: ErrorClass = isErrorCode(code) ? ERRORS[code][0] : TidelogError;
  return new Class(code, message, fields);
}

/** What wasm promised, its failures as classes. */
export async function fromCore<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (thrown) {
    throw coreErrorToTidelogError(thrown);
  }
}

/** True for the codes of the table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** The words of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function isCoreError(error: unknown): error is CoreError {
  return (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    typeof error.code === "string" &&
    "message" in error &&
    typeof error.message === "string"
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "(unknown)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
