import { isDeepStrictEqual } from 'node:util';
import { LATEST, RECORDS, type RecordName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { createBatcher, encode, MAGIC_BYTE, WIRE_HEADER_BYTES, type OutgoingMessage, type Producer, type Registry } from '../../platform/kafka/index.ts';
import { TRACEPARENT } from '../../platform/tracing/index.ts';
import { readLine, splitLines, type Prepared } from './lines.ts';
import type { Source } from './source.ts';

export interface BadLine {
  line: number;
  problem: string;
}

export interface Checked {
  /** Lines that are not blank. */
  lines: number;
  good: number;
  bad: number;
  /** The first MOST_SHOWN bad lines. */
  problems: BadLine[];
  /** Good lines by record; raw ones as `raw`. */
  records: Record<string, number>;
}

export const MOST_SHOWN = 20;

/** Every line against the contract; `visit` is called for the good ones, in order. Nothing is thrown for a bad line. */
export async function checkLines(source: Source, options: { allowRaw: boolean }, visit?: (prepared: Prepared, line: number) => Promise<void>): Promise<Checked> {
  const checked: Checked = { lines: 0, good: 0, bad: 0, problems: [], records: {} };
  for await (const { number, text, problem } of splitLines(source.open())) {
    checked.lines += 1;
    const line = text === undefined ? { ok: false as const, problem } : readLine(text, options);
    if (line.ok) {
      checked.good += 1;
      const name = line.prepared.kind === 'raw' ? 'raw' : line.prepared.record;
      checked.records[name] = (checked.records[name] ?? 0) + 1;
      await visit?.(line.prepared, number);
    } else {
      checked.bad += 1;
      if (checked.problems.length < MOST_SHOWN) checked.problems.push({ line: number, problem: line.problem });
    }
  }
  return checked;
}

export interface Published extends Checked {
  published: number;
}

/**
 * Publishes the good lines in order, keyed by user_id, idempotent. Unless `skipBad`, every line is checked first, and a single bad one
 * means that none is published: BRX_CONTRACT is thrown. A send that finally fails throws BRX_KAFKA_UNAVAILABLE: run the same file again, events that
 * arrived twice count once.
 */
export async function publishLines(options: {
  source: Source;
  topic: string;
  allowRaw: boolean;
  skipBad: boolean;
  producer: Pick<Producer, 'sendBatch'>;
  registry: Pick<Registry, 'versions'>;
  signal: AbortSignal;
  onProgress: (acknowledged: number) => void;
}): Promise<Published> {
  const { source, topic, allowRaw, skipBad, signal } = options;
  if (!skipBad) {
    const checked = await checkLines(source, { allowRaw });
    if (checked.bad > 0) throw badLines(source, checked);
  }
  const schemaIdOf = schemaIds(options.registry);
  const batcher = createBatcher(options.producer);
  const checked = await checkLines(source, { allowRaw }, async (prepared, line) => {
    signal.throwIfAborted();
    await batcher.add(await messageOf(prepared, topic, schemaIdOf));
    if (line % 1_000 === 0) options.onProgress(batcher.acknowledged);
  });
  await batcher.flush();
  // The file changed between the two readings.
  if (!skipBad && checked.bad > 0) throw badLines(source, checked);
  return { ...checked, published: batcher.acknowledged };
}

export function badLines(source: Source, { lines, bad, problems }: Checked): BrxError {
  const shown = problems.map(({ line, problem }) => `  line ${line}: ${problem}`);
  if (bad > problems.length) shown.push(`  and ${bad - problems.length} more`);
  return new BrxError('BRX_CONTRACT', `${bad} of ${lines} line${lines === 1 ? '' : 's'} of ${source.name} ${bad === 1 ? 'breaks' : 'break'} the contract:\n${shown.join('\n')}`, {
    remedy: 'nothing was published; correct the lines (docs/producers.md has every record and rule), or publish the good ones with --skip-bad',
  });
}

async function messageOf(prepared: Prepared, topic: string, schemaIdOf: (record: RecordName) => Promise<number>): Promise<OutgoingMessage> {
  if (prepared.kind === 'record') {
    const { record, value, key, traceparent } = prepared;
    // The value was validated against this very record; TypeScript cannot tie the two together across the union.
    return { topic, key, value: encode(record, await schemaIdOf(record), value as never), headers: { 'brx-event-id': value.event_id, ...(traceparent !== undefined && { [TRACEPARENT]: traceparent }) } };
  }
  const { bytes, schema, key } = prepared;
  if (bytes === null || schema === null) return { topic, key, value: bytes };
  const header = Buffer.alloc(WIRE_HEADER_BYTES, MAGIC_BYTE);
  header.writeInt32BE(await schemaIdOf(schema), 1);
  return { topic, key, value: Buffer.concat([header, bytes]) };
}

/** The registry's id of exactly the schema this build writes, asked once a record. */
function schemaIds(registry: Pick<Registry, 'versions'>): (record: RecordName) => Promise<number> {
  const ids = new Map<RecordName, number>();
  return async (record) => {
    const known = ids.get(record);
    if (known !== undefined) return known;
    const { fullName } = RECORDS[record];
    const ours = (await registry.versions(fullName)).findLast(({ schema }) => isDeepStrictEqual(schema, LATEST[record].avro));
    if (ours === undefined) throw new BrxError('BRX_REFUSED', `version ${LATEST[record].version} of ${fullName} is not in the schema registry`, { remedy: 'run `brx-sync schemas apply`' });
    ids.set(record, ours.id);
    return ours.id;
  };
}
