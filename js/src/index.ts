/** Tidelog: an offline-first event log for web apps. */
export type {
  CommandContext,
  CommandHelpers,
  Decision,
  Emitted,
  EventSpec,
  Evolve,
  Projection,
  Refusal,
  StateOf,
  StreamDefinition,
  StreamOptions,
} from "./define.js";
export { projection, stream } from "./define.js";
export type { ErrorCode, ErrorFields } from "./errors.js";
export {
  ClosedError,
  DefinitionError,
  FoldError,
  InvalidEventError,
  LoadError,
  NotReadyError,
  RefusedError,
  StorageError,
  SyncError,
  TidelogError,
  VersionConflictError,
} from "./errors.js";
export { newId } from "./ids.js";
export { createLog } from "./log.js";
export type {
  AppendOptions,
  CommandsOf,
  HistoryOptions,
  Log,
  LogMembers,
  LogOptions,
  Parked,
  PastView,
  StreamHandle,
  Streams,
  WasmSource,
} from "./log-types.js";
export type { InputOf, OutputOf, SchemaIssue, SchemaResult, StandardSchemaV1 } from "./schema.js";
export type {
  EventInfo,
  EventMeta,
  Expected,
  Live,
  ParkedCommit,
  ParkedReason,
  Policy,
  RawEvent,
  Reason,
  Receipt,
  RecordedEvent,
  Row,
  RowQuery,
  Settlement,
  Status,
  UnfoldedStream,
} from "./types.js";
