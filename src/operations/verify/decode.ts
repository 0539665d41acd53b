import { RECORDS, recordNamed, validateInventoryChanged } from '../../contract/index.ts';
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
  const name = reader === undefined ? undefined : recordNamed(reader.recordName);
  if (reader === undefined || (name !== 'InventoryChanged' && name !== 'PurchaseRequested' && name !== 'PurchaseCancelled')) return { refused: 'unknown_type' };
  let decoded: unknown;
  try {
    decoded = reader.read(value);
  } catch {
    return { refused: 'undecodable' }; // how a reader says that the bytes do not fit
  }
  const content = checked(name, decoded);
  if (content === undefined) return { refused: 'invalid' };
  return key?.toString('latin1') === content.userId ? content.content : { refused: 'key_mismatch' };
}

function checked(name: 'InventoryChanged' | 'PurchaseRequested' | 'PurchaseCancelled', decoded: unknown): { content: LoggedRecord['content']; userId: string } | undefined {
  switch (name) {
    case 'InventoryChanged': {
      const result = validateInventoryChanged(decoded);
      return result.ok ? { content: { event: result.event }, userId: result.event.user_id } : undefined;
    }
    case 'PurchaseRequested': {
      const result = RECORDS.PurchaseRequested.schema.safeParse(decoded);
      return result.success ? { content: { request: result.data }, userId: result.data.user_id } : undefined;
    }
    case 'PurchaseCancelled': {
      const result = RECORDS.PurchaseCancelled.schema.safeParse(decoded);
      return result.success ? { content: { cancel: result.data }, userId: result.data.user_id } : undefined;
    }
  }
}
