import { RECORDS, type RecordName } from '../../contract/index.ts';
import { BrxError } from '../../errors.ts';
import { encode, WIRE_HEADER_BYTES, type Registry } from '../../platform/kafka/index.ts';
import type { Body } from './events.ts';

/** Schema ids of the records a workload holds: what producers write, and one of ours that must be refused. */
export type SchemaIds = Readonly<Record<'InventoryChanged' | 'PurchaseRequested' | 'PurchaseCancelled' | 'PurchaseSettled', number>>;

/** The newest schemas' ids. Throws BRX_REFUSED when one is not registered, BRX_REGISTRY_UNAVAILABLE. */
export async function schemaIds(registry: Pick<Registry, 'latestId'>): Promise<SchemaIds> {
  const of = async (record: RecordName): Promise<number> => {
    const id = await registry.latestId(RECORDS[record].fullName);
    if (id === undefined) throw new BrxError('BRX_REFUSED', `the schema of ${RECORDS[record].fullName} is not in the registry`, { remedy: 'run `brx-sync schemas apply`' });
    return id;
  };
  const [InventoryChanged, PurchaseRequested, PurchaseCancelled, PurchaseSettled] = await Promise.all([of('InventoryChanged'), of('PurchaseRequested'), of('PurchaseCancelled'), of('PurchaseSettled')]);
  return { InventoryChanged, PurchaseRequested, PurchaseCancelled, PurchaseSettled };
}

/** The value as it goes to Kafka. */
export function valueBytes(body: Body, ids: SchemaIds): Buffer | null {
  if ('raw' in body) return body.raw;
  const bytes = encoded(body, ids[body.record]);
  return body.cut === undefined ? bytes : bytes.subarray(0, bytes.length - body.cut);
}

/** All calls say the same: TypeScript ties a record to its value, and the union of them would lose that tie. */
function encoded(body: Exclude<Body, { raw: unknown }>, id: number): Buffer {
  switch (body.record) {
    case 'InventoryChanged':
      return encode(body.record, id, body.value);
    case 'PurchaseRequested':
      return encode(body.record, id, body.value);
    case 'PurchaseCancelled':
      return encode(body.record, id, body.value);
    case 'PurchaseSettled':
      return encode(body.record, id, body.value);
  }
}

/** Only the Avro part, which needs no registry. */
export function avroBytes(body: Exclude<Body, { raw: unknown }>): Buffer {
  return (valueBytes(body, { InventoryChanged: 0, PurchaseRequested: 0, PurchaseCancelled: 0, PurchaseSettled: 0 }) ?? Buffer.alloc(0)).subarray(WIRE_HEADER_BYTES);
}
