import type { InventoryChanged } from '../../contract/index.ts';

/**
 * What an event means for its item: the table of DESIGN section 4 once more, as a table. This is the statement the ingest
 * role's fold is compared with, so it shares no code with it (a test checks the imports); change one only after
 * reading the contract, never by copying from the other.
 */
export interface ItemState {
  on_hand: number;
  /** Reserved by sales under way. */
  held: number;
  price_cents: number | null;
  currency: string | null;
  blueprint_id: number | null;
  /** JSON with sorted keys. */
  properties: string | null;
  version: number | null;
  removed: boolean;
  drifted: boolean;
}

export interface Change {
  kind: InventoryChanged['kind'];
  quantity: number;
  price_cents: number | null;
  currency: string | null;
  blueprint_id: number | null;
  properties: string | null;
  version: number | null;
  source: string | null;
}

export type Outcome = 'applied' | 'stale' | 'would_go_negative' | 'out_of_range';

export const UNSEEN: Readonly<ItemState> = { on_hand: 0, held: 0, price_cents: null, currency: null, blueprint_id: null, properties: null, version: null, removed: false, drifted: false };
/** PostgreSQL's integer, Avro's int. */
export const MOST = 2_147_483_647;

interface Rule {
  case: string;
  when(item: Readonly<ItemState>, change: Change): boolean;
  outcome: Outcome;
  /** What of the item becomes different; a null value of the change says nothing and is left out by `said`. */
  becomes(item: Readonly<ItemState>, change: Change): Partial<ItemState>;
}

/** First match counts. */
export const RULES: readonly Rule[] = [
  {
    case: 'its version is not newer than the item’s',
    when: (item, { version }) => version !== null && item.version !== null && version <= item.version,
    outcome: 'stale',
    becomes: () => ({}),
  },
  {
    case: 'ADJUST below zero that tells of a sale on CardTrader: it has happened',
    when: (item, { kind, quantity, source }) => kind === 'ADJUST' && source === 'cardtrader' && item.on_hand + quantity < 0,
    outcome: 'applied',
    becomes: (_, change) => ({ ...said(change), on_hand: 0, drifted: true }),
  },
  {
    case: 'ADJUST below zero',
    when: (item, { kind, quantity }) => kind === 'ADJUST' && item.on_hand + quantity < 0,
    outcome: 'would_go_negative',
    becomes: () => ({ drifted: true }),
  },
  {
    case: 'ADJUST beyond what an integer holds',
    when: (item, { kind, quantity }) => kind === 'ADJUST' && item.on_hand + quantity > MOST,
    outcome: 'out_of_range',
    becomes: () => ({}),
  },
  {
    case: 'SET',
    when: (_, { kind }) => kind === 'SET',
    outcome: 'applied',
    becomes: (_, change) => ({ ...said(change), on_hand: change.quantity, removed: false, drifted: false }),
  },
  {
    case: 'ADJUST',
    when: (_, { kind }) => kind === 'ADJUST',
    outcome: 'applied',
    becomes: (item, change) => ({ ...said(change), on_hand: item.on_hand + change.quantity }),
  },
  {
    case: 'REMOVE',
    when: (_, { kind }) => kind === 'REMOVE',
    outcome: 'applied',
    becomes: (_, change) => ({ ...said(change), on_hand: 0, removed: true }),
  },
];

/** What an item is after `change`, and what became of the change. */
export function ruleOn(item: Readonly<ItemState>, change: Change): { outcome: Outcome; after: ItemState } {
  const rule = RULES.find((candidate) => candidate.when(item, change));
  if (rule === undefined) throw new RangeError(`no rule for ${change.kind}`);
  return { outcome: rule.outcome, after: { ...item, ...rule.becomes(item, change) } };
}

function said({ price_cents, currency, blueprint_id, properties, version }: Change): Partial<ItemState> {
  return {
    ...(price_cents !== null && { price_cents }),
    ...(currency !== null && { currency }),
    ...(blueprint_id !== null && { blueprint_id }),
    ...(properties !== null && { properties }),
    ...(version !== null && { version }),
  };
}
