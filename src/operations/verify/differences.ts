import type { Position } from './topic-log.ts';

/** Something that is not as it should be. `expected` null: it should not be there; `found` null: it is not there. */
export interface Difference {
  what: 'item' | 'ledger' | 'order' | 'dead_letter' | 'parked' | 'sale' | 'hold' | 'operation' | 'outcome';
  problem: string;
  expected: unknown;
  found: unknown;
  user_id?: string;
  item_id?: string;
  purchase_id?: string;
  event_id?: string;
  position?: Position;
  /** The command that shows more. */
  look?: string;
}

export interface Differences {
  add(difference: Difference): void;
  /** The first ones, in the order in which they were found. */
  readonly first: readonly Difference[];
  readonly total: number;
  readonly byKind: Readonly<Record<Difference['what'], number>>;
}

export function createDifferences(keep = 20): Differences {
  const first: Difference[] = [];
  const byKind = { item: 0, ledger: 0, order: 0, dead_letter: 0, parked: 0, sale: 0, hold: 0, operation: 0, outcome: 0 };
  let total = 0;
  return {
    first,
    byKind,
    get total() {
      return total;
    },
    add(difference) {
      total += 1;
      byKind[difference.what] += 1;
      if (first.length >= keep) return;
      const { user_id, item_id, purchase_id, position } = difference;
      first.push({
        ...difference,
        ...(position !== undefined && { position: { partition: position.partition, offset: position.offset } }),
        ...(user_id !== undefined && item_id !== undefined && { look: `brx-sync item ${user_id} ${item_id}` }),
        ...(user_id !== undefined && item_id === undefined && purchase_id !== undefined && { look: `brx-sync saga show ${purchase_id} --user ${user_id}` }),
      });
    },
  };
}
