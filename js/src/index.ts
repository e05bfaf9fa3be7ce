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
  Sides,
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
export { type KeptLog, type KeptName, keptLogs, openKept } from "./kept.js";
export { createLog } from "./log.js";
export type {
  AppendOptions,
  CommandsOf,
  ExportOptions,
  HistoryOptions,
  ImportOptions,
  ImportResult,
  ImportSource,
  Log,
  LogMembers,
  LogOptions,
  LogStorage,
  Parked,
  ParkedSides,
  PastView,
  ProgressOptions,
  ReadOptions,
  ReadPoint,
  ReadStreamOptions,
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
  Rebuilding,
  Receipt,
  RecordedEvent,
  Row,
  RowQuery,
  Settlement,
  Status,
  StorageGap,
  StorageInfo,
  UnfoldedStream,
  UnsavedFold,
} from "./types.js";
