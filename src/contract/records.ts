import { z } from 'zod';
import { currency, int, intFrom, LIMITS, list, long, longFrom, optional, properties, rule, text, time, uuid, word } from './rules.ts';

/**
 * Every record of the contract as zod sees it. Field names and shapes are those of schemas/<full name>/v*.avsc (the newest);
 * test/contract/agreement.test.ts proves that Avro and these schemas accept the same shapes. `strictObject`: a field that the
 * contract does not know is a typing mistake of a producer, never silently dropped.
 */
export const InventoryChangedSchema = z
  .strictObject({
    event_id: uuid,
    user_id: uuid,
    item_id: uuid,
    kind: z.enum(['SET', 'ADJUST', 'REMOVE']),
    quantity: int,
    price_cents: optional(longFrom(0)),
    currency: optional(currency),
    blueprint_id: optional(longFrom(1)),
    properties: optional(properties),
    version: optional(long),
    source: text(LIMITS.source),
    occurred_at: time,
  })
  .refine((event) => event.kind === 'ADJUST' || (event.kind === 'SET' ? event.quantity >= 0 : event.quantity === 0), {
    ...rule('quantity', 'SET needs 0 or more, REMOVE needs 0'),
    path: ['quantity'],
  });

const purchaseLine = z.strictObject({ item_id: uuid, quantity: intFrom(1), unit_price_cents: longFrom(0) });

export const PurchaseRequestedSchema = z.strictObject({
  event_id: uuid,
  purchase_id: uuid,
  user_id: uuid,
  buyer_id: optional(text(LIMITS.buyerId)),
  lines: list(purchaseLine, 1, LIMITS.purchaseLines),
  currency,
  expires_at: optional(time),
  occurred_at: time,
});

export const PurchaseCancelledSchema = z.strictObject({ event_id: uuid, purchase_id: uuid, user_id: uuid, reason: text(LIMITS.reason), occurred_at: time });

export const PurchaseSettledSchema = z.strictObject({
  event_id: uuid,
  purchase_id: uuid,
  user_id: uuid,
  outcome: z.enum(['CONFIRMED', 'REJECTED', 'CANCELLED']),
  reason: optional(word),
  lines: list(purchaseLine, 1, LIMITS.purchaseLines),
  occurred_at: time,
});

export const InventoryLevelSchema = z
  .strictObject({
    event_id: uuid,
    user_id: uuid,
    item_id: uuid,
    on_hand: intFrom(0),
    held: intFrom(0),
    available: int,
    cause: word,
    cause_event_id: uuid,
    occurred_at: time,
  })
  .refine((level) => level.available === level.on_hand - level.held, { ...rule('sum', 'must be on_hand - held'), path: ['available'] });

const snapshotProduct = z.strictObject({
  id: longFrom(1),
  blueprint_id: longFrom(1),
  quantity: intFrom(0),
  price_cents: longFrom(0),
  currency,
  bundle_size: intFrom(1).default(1),
  description: optional(text(LIMITS.description, 0)),
  user_data_field: optional(text(LIMITS.userDataField, 0)),
  properties: properties.default({}),
});

export const InventorySnapshotChunkSchema = z
  .strictObject({
    event_id: uuid,
    job_id: uuid,
    user_id: uuid,
    chunk: intFrom(0),
    chunks: intFrom(1),
    products: list(snapshotProduct, 0, LIMITS.snapshotProducts),
    exported_at: time,
  })
  .refine((part) => part.chunk < part.chunks, { ...rule('sum', 'must be below chunks'), path: ['chunk'] });

export const PurchaseReservedSchema = z.strictObject({
  event_id: uuid,
  purchase_id: uuid,
  user_id: uuid,
  lines: list(z.strictObject({ item_id: uuid, quantity: intFrom(1) }), 1, LIMITS.purchaseLines),
  hold_expires_at: time,
  occurred_at: time,
});

const remoteStock = { event_id: uuid, purchase_id: uuid, user_id: uuid, operation_id: uuid, item_id: uuid };
const moved = z.strictObject({ ...remoteStock, product_id: longFrom(1), quantity: intFrom(1), occurred_at: time });

export const RemoteStockTakenSchema = moved;
export const RemoteStockReturnedSchema = moved;
export const RemoteStockRefusedSchema = z.strictObject({ ...remoteStock, product_id: optional(longFrom(1)), reason: word, occurred_at: time });
export const RemoteStockUnknownSchema = RemoteStockRefusedSchema;

export const PurchaseAdvancedSchema = z.strictObject({ event_id: uuid, purchase_id: uuid, user_id: uuid, version: intFrom(1), fact: word, state: word, reason: optional(word), occurred_at: time });

/** Full names and schemas by short name; the short name is unique over all namespaces. The subject in the registry is the full name. */
export const RECORDS = {
  InventoryChanged: { fullName: 'brx.marketplace.InventoryChanged', schema: InventoryChangedSchema },
  PurchaseRequested: { fullName: 'brx.marketplace.PurchaseRequested', schema: PurchaseRequestedSchema },
  PurchaseCancelled: { fullName: 'brx.marketplace.PurchaseCancelled', schema: PurchaseCancelledSchema },
  PurchaseSettled: { fullName: 'brx.marketplace.PurchaseSettled', schema: PurchaseSettledSchema },
  InventoryLevel: { fullName: 'brx.marketplace.InventoryLevel', schema: InventoryLevelSchema },
  InventorySnapshotChunk: { fullName: 'brx.marketplace.InventorySnapshotChunk', schema: InventorySnapshotChunkSchema },
  PurchaseReserved: { fullName: 'brx.saga.PurchaseReserved', schema: PurchaseReservedSchema },
  RemoteStockTaken: { fullName: 'brx.saga.RemoteStockTaken', schema: RemoteStockTakenSchema },
  RemoteStockRefused: { fullName: 'brx.saga.RemoteStockRefused', schema: RemoteStockRefusedSchema },
  RemoteStockReturned: { fullName: 'brx.saga.RemoteStockReturned', schema: RemoteStockReturnedSchema },
  RemoteStockUnknown: { fullName: 'brx.saga.RemoteStockUnknown', schema: RemoteStockUnknownSchema },
  PurchaseAdvanced: { fullName: 'brx.saga.PurchaseAdvanced', schema: PurchaseAdvancedSchema },
} as const satisfies Record<string, { fullName: `brx.${string}`; schema: z.ZodType<{ event_id: string; user_id: string }> }>;

export type RecordName = keyof typeof RECORDS;
export type FullName = (typeof RECORDS)[RecordName]['fullName'];
/** A record as it is after decoding: every field present, null where nothing was said. */
export type RecordOf<Name extends RecordName> = z.output<(typeof RECORDS)[Name]['schema']>;

export type InventoryChanged = RecordOf<'InventoryChanged'>;
export type InventoryChangeKind = InventoryChanged['kind'];
export type PurchaseRequested = RecordOf<'PurchaseRequested'>;
export type PurchaseCancelled = RecordOf<'PurchaseCancelled'>;
export type PurchaseSettled = RecordOf<'PurchaseSettled'>;
export type InventoryLevel = RecordOf<'InventoryLevel'>;
export type InventorySnapshotChunk = RecordOf<'InventorySnapshotChunk'>;
export type PurchaseReserved = RecordOf<'PurchaseReserved'>;
export type RemoteStockTaken = RecordOf<'RemoteStockTaken'>;
export type RemoteStockRefused = RecordOf<'RemoteStockRefused'>;
export type RemoteStockReturned = RecordOf<'RemoteStockReturned'>;
export type RemoteStockUnknown = RecordOf<'RemoteStockUnknown'>;
export type PurchaseAdvanced = RecordOf<'PurchaseAdvanced'>;

export const RECORD_NAMES = Object.keys(RECORDS) as RecordName[];

/** The short name of a record by its full name; undefined when this version of the contract has no such record. */
export function recordNamed(fullName: string): RecordName | undefined {
  return RECORD_NAMES.find((name) => RECORDS[name].fullName === fullName);
}
