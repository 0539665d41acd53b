import { z } from 'zod';
import { explain, RECORD_NAMES, RECORDS, TOPICS, type RecordName } from '../../contract/index.ts';
import { messageOf } from '../../errors.ts';
import { parseTraceparent } from '../../platform/tracing/index.ts';

/** What a line asks to be published. */
export type Prepared =
  | { kind: 'record'; record: RecordName; value: { event_id: string; user_id: string }; key: string; traceparent?: string }
  /** `schema`: the bytes go behind the wire format's header with that record's schema id. Null bytes: a tombstone. */
  | { kind: 'raw'; bytes: Buffer | null; schema: RecordName | null; key: string | null };

export type Line = { ok: true; prepared: Prepared } | { ok: false; problem: string };

/** What producers write; the other records are BRX Sync's own. */
const PRODUCED: readonly RecordName[] = TOPICS.marketplaceEvents.records;

const recordLine = z.strictObject({ record: z.string(), value: z.unknown(), key: z.string().optional(), traceparent: z.string().optional() });
const rawLine = z.strictObject({ raw: z.base64().nullable(), schema: z.string().optional(), key: z.string().nullable() });

const refuse = (problem: string): Line => ({ ok: false, problem });

/**
 * One line of NDJSON against the contract:
 *
 *   {"record":"InventoryChanged","value":{...}}        its key is its user_id; "traceparent":"00-..." beside it: sent as a header
 *   {"raw":"<base64>","key":"...","schema":"..."}      only with `allowRaw`: bytes as they are, to test what happens to bad ones
 */
export function readLine(text: string, options: { allowRaw: boolean }): Line {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return refuse(`not JSON: ${messageOf(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return refuse('not an object; a line looks like {"record":"InventoryChanged","value":{...}}');
  return 'raw' in parsed ? readRaw(parsed, options) : readRecord(parsed, options);
}

function readRecord(parsed: object, { allowRaw }: { allowRaw: boolean }): Line {
  const line = recordLine.safeParse(parsed);
  if (!line.success) return refuse(`${explain(line.error)} (a line looks like {"record":"InventoryChanged","value":{...}})`);
  // A record of ours on the producers' topic is one of the bad things to try.
  const record = (allowRaw ? RECORD_NAMES : PRODUCED).find((name) => name === line.data.record);
  if (record === undefined) return refuse(`record: ${JSON.stringify(line.data.record)} is not what producers write; it must be one of ${PRODUCED.join(', ')}`);
  const value = RECORDS[record].schema.safeParse(line.data.value);
  if (!value.success) return refuse(explain(value.error));
  const key = line.data.key ?? value.data.user_id;
  if (key !== value.data.user_id && !allowRaw) return refuse(`key: ${JSON.stringify(key)} is not the user_id ${value.data.user_id}; leave it out`);
  const { traceparent } = line.data;
  if (traceparent !== undefined && parseTraceparent(traceparent) === undefined && !allowRaw) return refuse(`traceparent: ${JSON.stringify(traceparent)} is not one of W3C Trace Context, and would count as none`);
  return { ok: true, prepared: { kind: 'record', record, value: value.data, key, ...(traceparent !== undefined && { traceparent }) } };
}

function readRaw(parsed: object, { allowRaw }: { allowRaw: boolean }): Line {
  if (!allowRaw) return refuse('raw: bytes are published only with --allow-raw');
  const line = rawLine.safeParse(parsed);
  if (!line.success) return refuse(explain(line.error));
  const { raw, schema, key } = line.data;
  const record = schema === undefined ? null : RECORD_NAMES.find((name) => name === schema);
  if (record === undefined) return refuse(`schema: ${JSON.stringify(schema)} is no record of the contract`);
  return { ok: true, prepared: { kind: 'raw', bytes: raw === null ? null : Buffer.from(raw, 'base64'), schema: record, key } };
}

/** Longer than any record the brokers take (1 MB). */
const LONGEST_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface RawLine {
  /** From 1. */
  number: number;
  /** Undefined for a line that is too long or not UTF-8. */
  text: string | undefined;
  problem: string;
}

/** Lines of a byte stream, blank ones left out, in bounded memory whatever the input is. */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<RawLine, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest: Buffer[] = [];
  let restBytes = 0;
  let number = 0;

  const finish = (last: Buffer): RawLine | undefined => {
    number += 1;
    const tooLong = restBytes + last.length > LONGEST_LINE_BYTES;
    const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    if (tooLong) return { number, text: undefined, problem: `longer than ${LONGEST_LINE_BYTES} bytes` };
    try {
      const text = decoder.decode(bytes);
      return text.trim() === '' ? undefined : { number, text, problem: '' };
    } catch {
      return { number, text: undefined, problem: 'not UTF-8' };
    }
  };

  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = finish(chunk.subarray(start, end));
      if (line !== undefined) yield line;
      start = end + 1;
    }
    const tail = chunk.subarray(start);
    restBytes += tail.length;
    if (restBytes <= LONGEST_LINE_BYTES && tail.length > 0) rest.push(tail);
  }
  if (restBytes > 0) {
    const line = finish(Buffer.alloc(0));
    if (line !== undefined) yield line;
  }
}
