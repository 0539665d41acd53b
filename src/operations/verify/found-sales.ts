import type pg from 'pg';
import type { Differences } from './differences.ts';
import type { SagaEvidence, SaleStep } from './evidence.ts';
import { holdRows, sagaRows, strayRows, type SagaRow } from './sales.sql.ts';
import type { TopicLog } from './topic-log.ts';

/** What the database says of sales, by the log's numbers. As much memory as there are sales: some hundred bytes each. */
export interface FoundSales {
  readonly sagas: ReadonlyMap<number, FoundSaga>;
  /** Quantities held, by sale and item. */
  readonly holds: ReadonlyMap<number, ReadonlyMap<number, number>>;
}

export interface FoundSaga extends SagaEvidence {
  readonly state: string;
  readonly version: number;
  readonly reason: string | null;
  readonly sold: boolean;
  readonly currency: string;
  readonly buyer_id: string | null;
  readonly lines: SagaRow['lines'];
  readonly steps: readonly SaleStep[];
  readonly operations: readonly FoundOperation[];
}

/** A change of a listing on CardTrader that a sale asked for. */
export interface FoundOperation {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly itemId: string;
  readonly quantity: number;
  /** The TAKE a RETURN undoes. */
  readonly returns: string | null;
}

/** Reads sales, their steps, operations and holds; steps and operations of no sale are differences at once. */
export async function readSales(client: pg.PoolClient, log: TopicLog, differences: Differences): Promise<FoundSales> {
  const sagas = new Map<number, FoundSaga>();
  for await (const rows of sagaRows(client)) {
    for (const { user_id, purchase_id, event_id, steps, operations, ...saga } of rows) {
      sagas.set(log.sales.add(user_id, purchase_id), {
        ...saga,
        event: log.events.add(event_id),
        steps: (steps ?? []).map(([version, fact, state, eventId, reason]) => ({ version, fact, state, eventId, reason })),
        operations: (operations ?? []).map(([id, kind, state, itemId, quantity, returns]) => ({ id, kind, state, itemId, quantity, returns })),
      });
    }
  }
  const holds = new Map<number, Map<number, number>>();
  for await (const rows of holdRows(client)) {
    for (const { user_id, item_id, purchase_id, quantity } of rows) {
      const sale = log.sales.add(user_id, purchase_id);
      holds.set(sale, (holds.get(sale) ?? new Map<number, number>()).set(log.items.add(user_id, item_id), quantity));
    }
  }
  for (const { what, user_id, purchase_id } of await strayRows(client)) {
    differences.add({ what: what === 'step' ? 'sale' : 'operation', problem: what === 'step' ? 'steps of a sale that is not there' : 'operations on CardTrader of a sale that is not there', user_id, purchase_id, expected: null, found: `${what}s` });
  }
  return { sagas, holds };
}
