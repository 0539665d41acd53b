import type { Clock } from '../../platform/clock.ts';
import type { OutgoingMessage, Producer } from '../../platform/kafka/index.ts';
import { valueBytes, type SchemaIds } from './bytes.ts';
import type { GeneratedRecord } from './events.ts';

export interface PublishOptions {
  producer: Producer;
  /** Full name of the topic. */
  topic: string;
  schemaIds: SchemaIds;
  clock: Clock;
  /** Events a second, on a schedule that does not wait for anybody (open loop). Left out: as fast as Kafka takes them. */
  rate?: number;
  signal?: AbortSignal;
  /** Sees every record before it is sent, for instance to work out what must come of it. */
  onRecord?: (record: GeneratedRecord) => void;
  onProgress?: (progress: PublishProgress) => void;
}

export interface PublishProgress {
  /** Acknowledged by Kafka. */
  published: number;
  elapsedMs: number;
  /** Events a second since the start. */
  rate: number;
}

/** Stays below the broker's default of 1 MB a batch and partition even when all of it goes to one. */
const BATCH_RECORDS = 3_000;
const BATCH_BYTES = 700_000;
/** With a rate: as long as this the due events are gathered. */
const TICK_MS = 10;

/**
 * Sends a workload to Kafka, each record to the partition of its key. The next batch is made while Kafka takes the one before.
 *
 * With a rate each record's Kafka timestamp is the time at which it was *meant* to go out, so that latency measured from it counts the
 * time it had to wait for a slow system (no coordinated omission).
 */
export async function publishWorkload(records: Iterable<GeneratedRecord>, options: PublishOptions): Promise<PublishProgress> {
  const { producer, clock, rate, signal, onProgress } = options;
  const start = clock.monotonic();
  const startedAt = clock.now();
  const progress = { published: 0, elapsedMs: 0, rate: 0 };
  let underWay: Promise<void> = Promise.resolve();
  let batch: OutgoingMessage[] = [];
  let bytes = 0;
  let made = 0;

  const keyBytes = createKeyCache();

  const send = async (): Promise<void> => {
    await underWay;
    if (signal?.aborted === true) throw signal.reason as Error;
    if (progress.published > 0) onProgress?.({ ...progress });
    const sending = batch;
    batch = [];
    bytes = 0;
    underWay = producer.sendBatch(sending).then(() => {
      progress.published += sending.length;
      progress.elapsedMs = clock.monotonic() - start;
      progress.rate = (progress.published / progress.elapsedMs) * 1_000;
    });
    underWay.catch(() => undefined); // it is awaited before the next batch; until then nobody listens
  };

  for (const record of records) {
    const due = rate === undefined ? undefined : (made * 1_000) / rate;
    if (due !== undefined && due > clock.monotonic() - start) {
      if (batch.length > 0) await send();
      const wait = due - (clock.monotonic() - start);
      if (wait > 0) await clock.sleep(Math.max(wait, TICK_MS), signal);
    }
    const value = valueBytes(record.body, options.schemaIds);
    batch.push({ topic: options.topic, key: keyBytes(record.key), value, ...(due !== undefined && { timestamp: String(Math.round(startedAt + due)) }) });
    options.onRecord?.(record);
    made += 1;
    bytes += (value?.length ?? 0) + 100;
    if (batch.length >= BATCH_RECORDS || bytes >= BATCH_BYTES) await send();
  }
  if (batch.length > 0) await send();
  await underWay;
  onProgress?.({ ...progress });
  return progress;
}

const KEYS_KEPT = 50_000;

/** Users send again and again: one Buffer each, instead of the two that kafkajs makes of a string for every record. */
function createKeyCache(): (key: string) => Buffer {
  const known = new Map<string, Buffer>();
  return (key) => {
    let bytes = known.get(key);
    if (bytes === undefined) {
      if (known.size >= KEYS_KEPT) known.clear();
      bytes = Buffer.from(key);
      known.set(key, bytes);
    }
    return bytes;
  };
}
