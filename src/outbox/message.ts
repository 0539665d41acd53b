import { laneOf, type RecordName, type RecordOf } from '../contract/index.ts';
import type { Encoder, StorableHeaders } from '../platform/kafka/index.ts';
import { TRACEPARENT } from '../platform/tracing/index.ts';

/**
 * How many relays may work at once. A user's shard follows from the lane, so that one relay at a time publishes a user; as many
 * as a topic has partitions, and with murmur2 the shard of a user is its partition.
 */
export const RELAY_SHARDS = 12;

export const shardOf = (userId: string): number => laneOf(userId) % RELAY_SHARDS;

/** A record to be published once the transaction that enqueues it is committed. */
export interface OutboxMessage {
  /** Full name, prefix included. */
  readonly topic: string;
  readonly shard: number;
  /** Whose later messages wait if Kafka refuses this one; null: nobody's. */
  readonly userId: string | null;
  /** Sent as header `brx-event-id`. */
  readonly eventId: string | null;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: StorableHeaders;
  /** Only where it must be another one than murmur2's of the key. */
  readonly partition?: number;
  /** Not to be published before, milliseconds since 1970. Later messages of the user do not wait for it. */
  readonly availableAt?: number;
}

/** A record of the contract, keyed by its user; what belongs to a trace says so in a header. */
export function userMessage<Name extends RecordName>(encoder: Encoder, topic: string, record: Name, value: RecordOf<Name>, traceparent: string | null = null): OutboxMessage {
  const { user_id: userId, event_id: eventId } = value;
  return { topic, shard: shardOf(userId), userId, eventId, key: Buffer.from(userId), value: encoder.encode(record, value), ...(traceparent !== null && { headers: { [TRACEPARENT]: traceparent } }) };
}
