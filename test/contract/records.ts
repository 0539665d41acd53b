import fc from 'fast-check';
import { EARLIEST_MS, EXACT_LONG_MAX, LATEST_MS, LIMITS, type RecordName } from '../../src/contract/index.ts';

/** Arbitraries of valid records, written from DESIGN's words rather than from the schemas, which they are to test. */
const uuid = fc.uuid();
const time = fc.integer({ min: EARLIEST_MS, max: LATEST_MS - 1 });
const count = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const stock = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const cents = fc.oneof(fc.nat(), fc.integer({ min: 0, max: EXACT_LONG_MAX }));
const id = fc.integer({ min: 1, max: EXACT_LONG_MAX });
const currency = fc.constantFrom('EUR', 'USD', 'JPY');
const word = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/);
const storable = (max: number, min = 1) => fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => text.length >= min && text.length <= max && !text.includes('\0'));
const or = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const properties = fc.dictionary(storable(LIMITS.propertyKey).filter((key) => key !== '__proto__'), storable(LIMITS.propertyValue, 0), { maxKeys: 5, noNullPrototype: true });
const purchaseLines = fc.array(fc.record({ item_id: uuid, quantity: count, unit_price_cents: cents }), { minLength: 1, maxLength: 4 });
const stockLines = fc.array(fc.record({ item_id: uuid, quantity: count }), { minLength: 1, maxLength: 4 });
const event = { event_id: uuid, user_id: uuid, occurred_at: time };
const remote = { ...event, purchase_id: uuid, operation_id: uuid, item_id: uuid };

const quantityOfKind = fc.oneof(
  fc.record({ kind: fc.constant('SET'), quantity: stock }),
  fc.record({ kind: fc.constant('ADJUST'), quantity: fc.integer() }),
  fc.record({ kind: fc.constant('REMOVE'), quantity: fc.constant(0) }),
);

export const validRecord: Record<RecordName, fc.Arbitrary<Record<string, unknown>>> = {
  InventoryChanged: fc
    .tuple(
      fc.record({
        ...event,
        item_id: uuid,
        price_cents: or(cents),
        currency: or(currency),
        blueprint_id: or(id),
        properties: or(properties),
        version: or(fc.integer({ min: -EXACT_LONG_MAX, max: EXACT_LONG_MAX })),
        source: storable(LIMITS.source),
      }),
      quantityOfKind,
    )
    .map(([rest, change]) => ({ ...rest, ...change })),
  PurchaseRequested: fc.record({ ...event, purchase_id: uuid, buyer_id: or(storable(LIMITS.buyerId)), lines: purchaseLines, currency, expires_at: or(time) }),
  PurchaseCancelled: fc.record({ ...event, purchase_id: uuid, reason: storable(LIMITS.reason) }),
  PurchaseSettled: fc.record({ ...event, purchase_id: uuid, outcome: fc.constantFrom('CONFIRMED', 'REJECTED', 'CANCELLED'), reason: or(word), lines: purchaseLines }),
  InventoryLevel: fc
    .record({ ...event, item_id: uuid, on_hand: stock, held: stock, cause: word, cause_event_id: uuid })
    .map((level) => ({ ...level, available: level.on_hand - level.held })),
  InventorySnapshotChunk: fc
    .record({
      event_id: uuid,
      job_id: uuid,
      user_id: uuid,
      chunk: fc.nat(100),
      products: fc.array(
        fc.record({ id, blueprint_id: id, quantity: stock, price_cents: cents, currency, bundle_size: count, description: or(storable(LIMITS.description, 0)), user_data_field: or(storable(LIMITS.userDataField, 0)), properties }),
        { maxLength: 3 },
      ),
      exported_at: time,
    })
    .chain((part) => fc.integer({ min: part.chunk + 1, max: part.chunk + 50 }).map((chunks) => ({ ...part, chunks }))),
  PurchaseReserved: fc.record({ ...event, purchase_id: uuid, lines: stockLines, hold_expires_at: time }),
  RemoteStockTaken: fc.record({ ...remote, product_id: id, quantity: count }),
  RemoteStockReturned: fc.record({ ...remote, product_id: id, quantity: count }),
  RemoteStockRefused: fc.record({ ...remote, product_id: or(id), reason: word }),
  RemoteStockUnknown: fc.record({ ...remote, product_id: or(id), reason: word }),
  PurchaseAdvanced: fc.record({ ...event, purchase_id: uuid, version: count, fact: word, state: word, reason: or(word) }),
};
