import { RECORDS, validateInventoryChanged } from '../../contract/index.ts';
import type { Codec } from '../../platform/kafka/index.ts';
import type { LoggedRecord } from './topic-log.ts';

/** A record as Kafka has it. */
export interface RawRecord {
  partition: number;
  offset: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  key: Buffer | null;
  value: Buffer | null;
}

/** The schema id of a value in Confluent's wire format. */
export function schemaId(value: Buffer | null): number | undefined {
  return value !== null && value.length > 4 && value[0] === 0 ? value.readInt32BE(1) : undefined;
}

/** What the bytes are, by the contract's order of checks. The codec must have been prepared for the schema id. */
export function decodeRecord({ partition, offset, timestamp, key, value }: RawRecord, codec: Pick<Codec, 'reader'>): LoggedRecord {
  return { partition, offset, timestamp, content: contentOf(key, value, codec) };
}

function contentOf(key: Buffer | null, value: Buffer | null, codec: Pick<Codec, 'reader'>): LoggedRecord['content'] {
  const id = schemaId(value);
  if (value === null || id === undefined) return { refused: 'undecodable' };
  const reader = codec.reader(id);
  if (reader?.recordName !== RECORDS.InventoryChanged.fullName) return { refused: 'unknown_type' };
  let decoded: unknown;
  try {
    decoded = reader.read(value);
  } catch {
    return { refused: 'undecodable' }; // how a reader says that the bytes do not fit
  }
  const checked = validateInventoryChanged(decoded);
  if (!checked.ok) return { refused: 'invalid' };
  return key?.toString('latin1') === checked.event.user_id ? { event: checked.event } : { refused: 'key_mismatch' };
}
