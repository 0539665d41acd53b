import { MOST, type ItemState } from './rules.ts';

/**
 * What a sale means for an item of its, and which step of a sale may follow which: a statement of its own, like `rules.ts`, of what
 * DESIGN sections 4 and 5 say.
 */
export type SaleEffect =
  | 'reserved' // held from here on
  | 'none' // rejected, cancelled: no more than told in the item's history
  | 'sold' // taken from stock
  | 'released' // not sold after all: held no longer
  | 'returned'; // sold and given back

/** An item after a sale did this to so many of it. Stock that a SET has lowered below what was held goes to 0, and is uncertain from then on. */
export function saleOn(item: Readonly<ItemState>, effect: SaleEffect, quantity: number): ItemState {
  switch (effect) {
    case 'reserved':
      return { ...item, held: item.held + quantity };
    case 'none':
      return item;
    case 'sold':
      return { ...item, held: item.held - quantity, on_hand: Math.max(0, item.on_hand - quantity), drifted: item.drifted || item.on_hand < quantity };
    case 'released':
      return { ...item, held: item.held - quantity };
    case 'returned':
      return { ...item, on_hand: Math.min(MOST, item.on_hand + quantity) };
  }
}

/** State after each step, by the state before; what is not here may not be. */
const STEPS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  '': { reserved: ['RESERVED'], rejected: ['REJECTED'] },
  RESERVED: { called: ['CALLING'], confirmed: ['CONFIRMED'], compensating: ['COMPENSATING'], compensated: ['COMPENSATED'], stuck: ['NEEDS_OPERATOR'] },
  CALLING: { unknown: ['RECONCILING'], confirmed: ['CONFIRMED'], compensating: ['COMPENSATING'], stuck: ['NEEDS_OPERATOR'] },
  RECONCILING: { found: ['CALLING'], confirmed: ['CONFIRMED'], compensating: ['COMPENSATING'], stuck: ['NEEDS_OPERATOR'] },
  COMPENSATING: { giving_back: ['COMPENSATING'], compensated: ['COMPENSATED'], stuck: ['NEEDS_OPERATOR'] },
  NEEDS_OPERATOR: { resumed: ['CALLING', 'COMPENSATING'], cancel_noted: ['NEEDS_OPERATOR'], compensating: ['COMPENSATING'], confirmed: ['CONFIRMED'] },
  CONFIRMED: { compensating: ['COMPENSATING'], compensated: ['COMPENSATED'] },
};

export const mayFollow = (before: string, fact: string, after: string): boolean => STEPS[before]?.[fact]?.includes(after) === true;

export const ENDED: ReadonlySet<string> = new Set(['CONFIRMED', 'REJECTED', 'COMPENSATED']);

/** A step that ends a sale is told to whoever sent it, as one record of these. */
export function outcomeOf(fact: string, reason: string | null, wasSold: boolean): { outcome: string; reason: string | null } | undefined {
  switch (fact) {
    case 'rejected':
      return { outcome: 'REJECTED', reason };
    case 'confirmed':
      return { outcome: 'CONFIRMED', reason: null };
    case 'compensated':
      return { outcome: reason === 'cancelled' || wasSold ? 'CANCELLED' : 'REJECTED', reason };
    default:
      return undefined;
  }
}

/**
 * The id of a further ledger row of an event or step, `index` from 1 (the first row has the id itself): the last 48 bits are those of
 * the id XOR index times 0x9e3779b97f4b5.
 */
export function rowId(id: string, index: number): string {
  if (index === 0) return id;
  const mixed = BigInt(`0x${id.slice(24)}`) ^ BigInt.asUintN(48, BigInt(index) * 0x9e3779b97f4b5n);
  return `${id.slice(0, 24)}${mixed.toString(16).padStart(12, '0')}`;
}
