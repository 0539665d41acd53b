import type { InventoryChanged } from '../../contract/index.ts';
import type { Random } from '../../platform/random.ts';
import type { GeneratedRecord, Seller } from './events.ts';
import type { WorkloadOptions } from './options.ts';

/** Every way of being unusable that the contract names, and the reason its dead letter must carry. */
export const POISON = {
  no_magic_byte: 'undecodable',
  empty: 'undecodable',
  tombstone: 'undecodable',
  truncated: 'undecodable',
  unknown_schema_id: 'unknown_type',
  unknown_record: 'unknown_type',
  invalid_value: 'invalid',
  key_mismatch: 'key_mismatch',
  too_old: 'too_old',
} as const;
export type Poison = keyof typeof POISON;

const KINDS = Object.keys(POISON) as Poison[];
/** Beyond what any registry has handed out. */
const UNKNOWN_SCHEMA_ID = 0x7fff_ff00;

export interface PoisonInput {
  timestamp: number;
  seller: Seller;
  other: Seller;
  /** A good event of that seller, to be spoiled. */
  ordinary: InventoryChanged;
}

/** Draws a kind of poison each time, all equally often. */
export function createPoison(random: Random, options: WorkloadOptions): (input: PoisonInput) => GeneratedRecord {
  return (input) => {
    const intent = KINDS[random.below(KINDS.length)] ?? 'empty';
    return { key: input.seller.id, timestamp: input.timestamp, intent, ...spoil(random, options, intent, input) };
  };
}

function spoil(random: Random, options: WorkloadOptions, kind: Poison, { timestamp, seller, other, ordinary }: PoisonInput): Pick<GeneratedRecord, 'body'> & { key?: string } {
  switch (kind) {
    case 'no_magic_byte': {
      const bytes = random.bytes(8 + random.below(120));
      bytes[0] = 1 + random.below(255);
      return { body: { raw: bytes } };
    }
    case 'empty':
      return { body: { raw: Buffer.alloc(0) } };
    case 'tombstone':
      return { body: { raw: null } };
    case 'truncated':
      return { body: { record: 'InventoryChanged', value: ordinary, cut: 1 + random.below(20) } };
    case 'unknown_schema_id': {
      const bytes = random.bytes(60);
      bytes[0] = 0;
      bytes.writeUInt32BE(UNKNOWN_SCHEMA_ID + random.below(4), 1);
      return { body: { raw: bytes } };
    }
    case 'unknown_record':
      return { body: { record: 'PurchaseSettled', value: { event_id: ordinary.event_id, purchase_id: random.uuidV4(), user_id: seller.id, outcome: 'CONFIRMED', reason: null, lines: [{ item_id: ordinary.item_id, quantity: 1, unit_price_cents: 100 }], occurred_at: timestamp } } };
    case 'invalid_value':
      return { body: { record: 'InventoryChanged', value: { ...ordinary, ...invalid(random) } } };
    case 'key_mismatch':
      return { key: other.id === seller.id ? 'not-a-user' : other.id, body: { record: 'InventoryChanged', value: ordinary } };
    case 'too_old': {
      const occurred = Math.max(0, timestamp - options.horizonMs - 86_400_000 - random.below(30 * 86_400_000));
      return { body: { record: 'InventoryChanged', value: { ...ordinary, event_id: random.uuidV7(occurred), occurred_at: occurred } } };
    }
  }
}

/** Fits the Avro types, breaks the contract. */
function invalid(random: Random): Partial<InventoryChanged> {
  const ways: Partial<InventoryChanged>[] = [{ kind: 'SET', quantity: -1 }, { kind: 'REMOVE', quantity: 3 }, { price_cents: -5, currency: 'EUR' }, { price_cents: 100, currency: 'euro' }];
  return ways[random.below(ways.length)] ?? {};
}
