import { messageOf } from '../errors.ts';
import type { Codec } from '../platform/kafka/index.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import { schemaIdOf } from './decode.ts';

/** What can be read of a record, however wrong it is. */
export interface Inspected {
  schemaId: number | null;
  /** Full name of the record its schema describes. */
  record: string | null;
  /** In the newest schema's shape, not judged by the contract. */
  value: unknown;
  /** Why there is no value. */
  problem: string | null;
}

/** Throws BRX_REGISTRY_UNAVAILABLE when its schema must be asked for and the registry is away. */
export async function inspect(codec: Codec, { value: bytes }: Pick<SourceRecord, 'value'>): Promise<Inspected> {
  const nothing = (problem: string, schemaId: number | null = null, record: string | null = null): Inspected => ({ schemaId, record, value: null, problem });
  if (bytes === null) return nothing('it has no value');
  const schemaId = schemaIdOf(bytes);
  if (schemaId === undefined) return nothing('it is not in Confluent’s wire format');
  await codec.prepare(schemaId);
  const reader = codec.reader(schemaId);
  if (reader === undefined) return nothing(`schema ${schemaId} is not in the registry`, schemaId);
  try {
    return { schemaId, record: reader.recordName, value: reader.read(bytes), problem: null };
  } catch (error) {
    return nothing(messageOf(error), schemaId, reader.recordName); // avsc reports bytes that do not fit by throwing
  }
}
