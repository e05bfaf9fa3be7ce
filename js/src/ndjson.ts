/**
 * Events as lines of JSON, the same as `tidelog export` and `tidelog import` of the server:
 * `{"stream","version","type","time","data","schema"?,"tags"?,"meta"?}`. A line of an event whose payload was
 * erased has `erased` in place of `data`: the digest of what is gone, which the log's chain counts.
 */
import { payloadText } from "./batch.js";
import type { Batch, ParkedEvent, QueuedEvent } from "./border.js";
import { messageOf } from "./errors.js";
import { objectTexts } from "./json-text.js";
import type { EventMeta } from "./types.js";

/** One line that was read. */
export interface Line {
  /** As it was written: without a slash it is split at its first hyphen. */
  readonly stream: string;
  /** Absent: behind what is there. */
  readonly version?: number;
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** JSON, as it was written; `null` if it was erased. */
  readonly data: string;
  /** The digest of what was erased. */
  readonly erased?: string;
  readonly schema: number;
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
}

/** Lines of the events `from..to` (not included) of a batch. */
export function batchToLines(batch: Batch, from: number, to: number): string {
  const names = batch.names.split("\n").map((name) => JSON.stringify(name));
  const extras = new Map(batch.extras?.map((each) => [each.event, each]));
  const erased = new Map(Array.from(batch.erased ?? [], (event, i) => [event, digestOf(batch, i)]));
  let lines = "";
  for (let event = from; event < to; event++) {
    lines += toLine({
      stream: names[batch.stream[event] ?? 0] ?? "",
      version: batch.version[event],
      type: names[batch.type[event] ?? 0] ?? "",
      occurredAt: batch.occurredAt[event] ?? 0,
      payload:
        erased.get(event) === undefined
          ? `"data":${payloadText(batch, event, event + 1)}`
          : `"erased":"${erased.get(event)}"`,
      schema: batch.schema[event] ?? 1,
      tags: extras.get(event)?.tags,
      meta: extras.get(event)?.meta,
    });
  }
  return lines;
}

/** Characters of a digest. */
const DIGEST = 64;

function digestOf({ digests = "" }: Batch, erased: number): string {
  return digests.slice(erased * DIGEST, (erased + 1) * DIGEST);
}

/** The line of an event that is not confirmed. A parked one has no version: nobody knows where it will go. */
export function unconfirmedToLine(
  event: QueuedEvent | ParkedEvent,
  occurredAt: number,
  version: number | undefined,
): string {
  const { stream, type, data, schema, tags, meta } = event;
  const [streamText, typeText] = [JSON.stringify(stream), JSON.stringify(type)];
  return toLine({
    stream: streamText,
    version,
    type: typeText,
    occurredAt,
    payload: `"data":${data}`,
    schema,
    tags,
    meta,
  });
}

interface LineParts {
  /** As JSON. */
  readonly stream: string;
  readonly type: string;
  /** The field of the payload, or of what says that it was erased. */
  readonly payload: string;
  readonly version: number | undefined;
  readonly occurredAt: number;
  readonly schema: number;
  readonly tags: readonly string[] | undefined;
  readonly meta: EventMeta | undefined;
}

function toLine({
  stream,
  version,
  type,
  occurredAt,
  payload,
  schema,
  tags,
  meta,
}: LineParts): string {
  const place = version === undefined ? "" : `,"version":${version}`;
  const rest =
    (schema === 1 ? "" : `,"schema":${schema}`) +
    (tags && tags.length > 0 ? `,"tags":${JSON.stringify(tags)}` : "") +
    (meta && Object.keys(meta).length > 0 ? `,"meta":${JSON.stringify(meta)}` : "");
  return `{"stream":${stream}${place},"type":${type},"time":"${timeToText(occurredAt)}",${payload}${rest}}\n`;
}

/** RFC 3339 in UTC, to the millisecond; the nearest such time where it has no text. */
function timeToText(millis: number): string {
  const first = -62_135_596_800_000; // 0001-01-01
  const last = 253_402_300_799_999; // 9999-12-31
  return new Date(Math.min(last, Math.max(first, millis))).toISOString();
}

/** Reads one line. Throws an `Error` that says what is wrong with it. */
export function parseLine(text: string): Line {
  return parseUsual(text) ?? parseAny(text);
}

const HEAD = '{"stream":"';
const VERSION = '"version":';
const TYPE = '"type":"';
const TIME = '"time":"';
const DATA = '"data":';

/** The way lines are mostly written; `undefined`: some other way, or wrong. */
function parseUsual(text: string): Line | undefined {
  if (!text.startsWith(HEAD)) return undefined;
  const streamEnd = text.indexOf('"', HEAD.length);
  let at = streamEnd + 2;
  let version: number | undefined;
  if (text.startsWith(VERSION, at)) {
    const end = text.indexOf(",", at);
    version = Number(text.slice(at + VERSION.length, end));
    if (!isCount(version)) return undefined;
    at = end + 1;
  }
  if (!text.startsWith(TYPE, at)) return undefined;
  const typeStart = at + TYPE.length;
  const typeEnd = text.indexOf('"', typeStart);
  at = typeEnd + 2;
  if (!text.startsWith(TIME, at)) return undefined;
  const timeStart = at + TIME.length;
  const timeEnd = text.indexOf('"', timeStart);
  at = timeEnd + 2;
  if (!text.startsWith(DATA, at) || !text.endsWith("}")) return undefined;
  const stream = text.slice(HEAD.length, streamEnd);
  const type = text.slice(typeStart, typeEnd);
  const data = text.slice(at + DATA.length, -1);
  const time = textToTime(text.slice(timeStart, timeEnd));
  if (stream.includes("\\") || type.includes("\\") || Number.isNaN(time)) return undefined;
  // More fields may follow the payload.
  if (!FLAT_OBJECT.test(data) && !isJson(data)) return undefined;
  const line = { stream, type, time, data, schema: 1 };
  return version === undefined ? line : { ...line, version };
}

/** An object of plain texts, numbers and the like, which is JSON for certain and the quicker way to see it. */
const FLAT_OBJECT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what JSON refuses in texts
  /^\{(?:"[^"\\\u0000-\u001f]*":(?:"[^"\\\u0000-\u001f]*"|-?(?:0|[1-9]\d*)(?:\.\d+)?|true|false|null)(?:,(?=")|(?=\}$)))*\}$/;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const FIELDS = new Set("stream version type time data erased schema tags meta".split(" "));

function parseAny(text: string): Line {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (thrown) {
    throw new Error(`it is not JSON: ${messageOf(thrown)}`);
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new Error("it is not an object");
  }
  const {
    stream,
    version,
    type,
    time,
    erased,
    schema = 1,
    tags,
    meta,
  } = fields as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (!FIELDS.has(name)) throw new Error(`${name} is not a field of an event`);
  }
  const data = erased === undefined ? objectTexts(text).get("data") : "null";
  if (typeof stream !== "string") throw new Error("stream is not a text");
  if (typeof type !== "string") throw new Error("type is not a text");
  if (data === undefined) throw new Error("it has no data");
  if (erased !== undefined && "data" in fields) throw new Error("it has data, and it was erased");
  if (erased !== undefined && !isDigest(erased)) throw new Error("erased is not a digest");
  const millis = typeof time === "string" ? textToTime(time) : Number.NaN;
  if (Number.isNaN(millis)) throw new Error("time is not a time of RFC 3339");
  if (version !== undefined && !isCount(version)) throw new Error("version is not a number from 1");
  if (!isCount(schema)) throw new Error("schema is not a number from 1");
  if (tags !== undefined && !isTexts(tags)) throw new Error("tags is not a list of texts");
  if (meta !== undefined && !isMeta(meta)) throw new Error("meta is not metadata of an event");
  return {
    stream,
    type,
    time: millis,
    data,
    schema,
    ...(erased === undefined ? {} : { erased }),
    ...(version === undefined ? {} : { version }),
    ...(tags === undefined ? {} : { tags }),
    ...(meta === undefined ? {} : { meta }),
  };
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970; `NaN` if the text is no time of RFC 3339. */
export function textToTime(text: string): number {
  const usual = usualTime(text);
  if (!Number.isNaN(usual)) return usual;
  return RFC_3339.test(text) ? Date.parse(text.replace(" ", "T").toUpperCase()) : Number.NaN;
}

/** The day of the line before, and when it begins: most lines come in the order of their times. */
let lastDay = "";
let lastDayStart = Number.NaN;

/** `2011-10-01T00:38:44.546+02:00` or with `Z`, which is most of them; `NaN` for others. */
function usualTime(text: string): number {
  const { length } = text;
  const isUtc = length === 24 && text.charCodeAt(23) === Z;
  if ((!isUtc && length !== 29) || !isPunctuated(text)) return Number.NaN;
  const day = text.slice(0, 10);
  if (day !== lastDay) {
    lastDay = day;
    lastDayStart = startOfDay(day);
  }
  const hour = pair(text, 11);
  const minute = pair(text, 14);
  const second = pair(text, 17);
  const millis = pair(text, 20) * 10 + digit(text, 22);
  if (hour >= 24 || minute >= 60 || second >= 60 || millis >= 1000) return Number.NaN;
  const time = lastDayStart + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
  if (isUtc) return time;
  const sign = text.charCodeAt(23);
  const hours = pair(text, 24);
  const minutes = pair(text, 27);
  const valid = text.charCodeAt(26) === COLON && hours < 24 && minutes < 60;
  if (!valid || (sign !== PLUS && sign !== MINUS)) return Number.NaN;
  const offset = (hours * 60 + minutes) * 60_000;
  return sign === PLUS ? time - offset : time + offset;
}

/** Of `2011-10-01`; `NaN` for a day that only some months have and for everything unusual: there is a slower way. */
function startOfDay(text: string): number {
  const [century, years] = [pair(text, 0), pair(text, 2)];
  const year = century * 100 + years;
  const month = pair(text, 5);
  const day = pair(text, 8);
  // `Date.UTC` takes years below 100 for those of the twentieth century.
  const usual = year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 28;
  return usual && century < 100 && years < 100 ? Date.UTC(year, month - 1, day) : Number.NaN;
}

const Z = 0x5a;
const T = 0x54;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;

function isPunctuated(text: string): boolean {
  return (
    text.charCodeAt(4) === MINUS &&
    text.charCodeAt(7) === MINUS &&
    text.charCodeAt(10) === T &&
    text.charCodeAt(13) === COLON &&
    text.charCodeAt(16) === COLON &&
    text.charCodeAt(19) === POINT
  );
}

/** More than any number of two digits. */
const NO_DIGIT = 1000;

/** The number that two characters are; {@link NO_DIGIT} or more if one is no digit. */
function pair(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

function digit(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : NO_DIGIT;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

const META = new Set(["correlationId", "causationId", "device"]);

function isMeta(value: unknown): value is EventMeta {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.entries(value).every(([name, text]) => META.has(name) && typeof text === "string")
  );
}
