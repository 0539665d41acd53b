import { RECORDS, type RecordName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { encode, WIRE_HEADER_BYTES, type Registry } from '../../platform/kafka/index.ts';
import type { Body } from './events.ts';

/** Schema ids of the records a workload holds. */
export type SchemaIds = Readonly<Record<'InventoryChanged' | 'PurchaseCancelled', number>>;

/** The newest schemas' ids. Throws BRX_REFUSED when one is not registered, BRX_REGISTRY_UNAVAILABLE. */
export async function schemaIds(registry: Pick<Registry, 'latestId'>): Promise<SchemaIds> {
  const of = async (record: RecordName): Promise<number> => {
    const id = await registry.latestId(RECORDS[record].fullName);
    if (id === undefined) throw new BrxError('BRX_REFUSED', `the schema of ${RECORDS[record].fullName} is not in the registry`, { remedy: 'run `brx-sync schemas apply`' });
    return id;
  };
  return { InventoryChanged: await of('InventoryChanged'), PurchaseCancelled: await of('PurchaseCancelled') };
}

/** The value as it goes to Kafka. */
export function valueBytes(body: Body, ids: SchemaIds): Buffer | null {
  if ('raw' in body) return body.raw;
  // Both calls say the same: TypeScript ties a record to its value, and the union of both would lose that tie.
  const bytes = body.record === 'InventoryChanged' ? encode(body.record, ids.InventoryChanged, body.value) : encode(body.record, ids.PurchaseCancelled, body.value);
  return body.cut === undefined ? bytes : bytes.subarray(0, bytes.length - body.cut);
}

/** Only the Avro part, which needs no registry. */
export function avroBytes(body: Exclude<Body, { raw: unknown }>): Buffer {
  return (valueBytes(body, { InventoryChanged: 0, PurchaseCancelled: 0 }) ?? Buffer.alloc(0)).subarray(WIRE_HEADER_BYTES);
}
