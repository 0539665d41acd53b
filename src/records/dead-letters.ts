import { enqueue, RELAY_SHARDS, type OutboxMessage } from '../outbox/index.ts';
import { inTransaction, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { deleteOldDeadLetters, insertDeadLetters, storable } from './dead-letters.sql.ts';
import type { DeadEntry } from './record.ts';

/**
 * Forgets dead letters older than `keepSince` (ms): their topic has long forgotten the records, so no replay can bring them again.
 * One step of at most 1,000; answers how many went. What is not published yet has its own row in the outbox.
 */
export async function pruneDeadLetters(postgres: Postgres, keepSince: number): Promise<number> {
  return inTransaction(postgres, (tx) => deleteOldDeadLetters(tx, keepSince, 1_000));
}

/** Keeps records that can never be applied, each once, and has them published to `<topic>.dlq`. */
export async function buryDeadLetters(tx: Transaction, entries: readonly DeadEntry[], consumerGroup: string): Promise<void> {
  if (entries.length === 0) return;
  const ids = await insertDeadLetters(tx, entries, consumerGroup);
  await enqueue(
    tx,
    entries.flatMap((entry, index) => {
      const id = ids.get(index);
      return id === undefined ? [] : [message(entry, id, consumerGroup)];
    }),
  );
}

/**
 * The original record under the source's partition, plus where it came from and why: Spring's header names, which Kafka UIs know. If
 * Kafka refuses it, nobody waits for it.
 */
function message(entry: DeadEntry, id: bigint, consumerGroup: string): OutboxMessage {
  const { source } = entry;
  const headers: OutboxMessage['headers'] = {
    ...source.headers,
    'kafka_dlt-original-topic': source.topic,
    'kafka_dlt-original-partition': int32(source.partition),
    'kafka_dlt-original-offset': int64(BigInt(source.offset)),
    'kafka_dlt-original-timestamp': int64(BigInt(Math.round(source.timestamp))),
    'kafka_dlt-original-timestamp-type': 'CreateTime',
    'kafka_dlt-original-consumer-group': consumerGroup,
    'kafka_dlt-exception-fqcn': `brx.${entry.reason}`,
    'kafka_dlt-exception-message': storable(entry.detail),
    'brx-dead-letter-id': id.toString(),
    'brx-dead-letter-reason': entry.reason,
  };
  return { topic: `${source.topic}.dlq`, shard: source.partition % RELAY_SHARDS, userId: null, eventId: entry.eventId, key: source.key, value: source.value, headers, partition: source.partition };
}

/** Spring writes these numbers as big-endian bytes. */
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The largest there is stays it: a timestamp has been through a double, which rounds it up by one. */
function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value > LARGEST_INT64 ? LARGEST_INT64 : value);
  return bytes;
}

const LARGEST_INT64 = 2n ** 63n - 1n;
