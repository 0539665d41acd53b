import type { PurchaseReason } from '../../contract/index.ts';
import type { Evidence } from './evidence.ts';
import { rowId, type SaleEffect } from './sale-rules.ts';
import type { TopicLog } from './topic-log.ts';
import type { ExpectedSaleRow } from './verdict.ts';

/** A ledger row a sale must have at one of its items, before it is known what it finds there. */
export interface PlannedRow extends Pick<ExpectedSaleRow, 'kind' | 'outcome' | 'cause' | 'quantity' | 'item' | 'sale' | 'occurrence'> {
  row: number;
  effect: SaleEffect;
}

export interface SalePlan {
  /** The record that started each sale. */
  readonly requests: ReadonlyMap<number, number>;
  /** Rows of purchases and cancellations by item, in the order of the topic. */
  readonly events: ReadonlyMap<number, readonly PlannedRow[]>;
  /** Rows of steps the sales took afterwards, by item; their places are the database's. */
  readonly steps: ReadonlyMap<number, readonly PlannedRow[]>;
  /** Cancellations that reached their sale, by sale. */
  readonly cancels: ReadonlyMap<number, readonly number[]>;
}

/**
 * Of each purchase, the record that started it: the first that counts. Of purchases sent in several partitions any may have been
 * taken first; the database says which.
 */
export function startedBy(log: TopicLog, counts: (occurrence: number) => boolean, evidence: Evidence): Map<number, number> {
  const started = new Map<number, number>();
  for (const at of log.saleOccurrences) {
    if (log.typeOf(at) !== 'request' || !counts(at)) continue;
    const sale = log.saleOf(at);
    const first = started.get(sale);
    const elsewhere = first !== undefined && log.position(first).partition !== log.position(at).partition && evidence.saga(sale)?.event === log.eventOf(at);
    if (first === undefined || elsewhere) started.set(sale, at);
  }
  return started;
}

/** Every ledger row that must be there because of purchases. `counts`: the record counts for its event; `discarded`: an operator gave up on it. */
export function planSales(log: TopicLog, requests: ReadonlyMap<number, number>, counts: (occurrence: number) => boolean, discarded: ReadonlySet<number>, evidence: Evidence): SalePlan {
  const events = new Map<number, PlannedRow[]>();
  const steps = new Map<number, PlannedRow[]>();
  const cancels = new Map<number, number[]>();

  const put = (into: Map<number, PlannedRow[]>, sale: number, id: string, how: Pick<PlannedRow, 'kind' | 'effect' | 'outcome' | 'cause' | 'occurrence'>): void => {
    log.requestOf(requests.get(sale) ?? -1).wants.forEach(({ item, quantity }, index) => {
      const rows = into.get(item) ?? [];
      rows.push({ ...how, sale, item, quantity, row: log.events.add(rowId(id, index)) });
      into.set(item, rows);
    });
  };

  for (const at of log.saleOccurrences) {
    const sale = log.saleOf(at);
    const event = log.eventOf(at);
    if (!counts(at) || !requests.has(sale)) continue;
    if (log.typeOf(at) === 'cancel') {
      const outcome = discarded.has(event) ? 'd' : evidence.row(event)?.outcome === 's' ? 's' : 'a';
      if (outcome !== 'd') cancels.set(sale, [...(cancels.get(sale) ?? []), at]);
      put(events, sale, log.events.text(event), { kind: 'C', effect: 'none', outcome, cause: outcome === 'd' ? 'discarded' : 'cancelled', occurrence: at });
    } else if (requests.get(sale) === at) {
      put(events, sale, log.events.text(event), { kind: 'P', occurrence: at, ...reservation(evidence, sale, event, discarded.has(event)) });
    }
  }

  for (const [sale, occurrence] of requests) {
    let sold = false;
    for (const { fact, eventId, reason } of evidence.saga(sale)?.steps ?? []) {
      if (fact === 'confirmed') put(steps, sale, eventId, { kind: 'T', effect: 'sold', outcome: 'a', cause: 'sold', occurrence });
      if (fact === 'compensated') put(steps, sale, eventId, { kind: 'B', effect: sold ? 'returned' : 'released', outcome: 'a', cause: reason ?? '', occurrence });
      sold = fact === 'confirmed' || (sold && fact !== 'compensated');
    }
  }
  return { requests, events, steps, cancels };
}

/** What a purchase came to, by the first step of its sale; without one by its ledger row. That it is right is looked into later. */
function reservation(evidence: Evidence, sale: number, event: number, isDiscarded: boolean): Pick<PlannedRow, 'effect' | 'outcome' | 'cause'> {
  if (isDiscarded) return { effect: 'none', outcome: 'd', cause: 'discarded' };
  const first = evidence.saga(sale)?.steps.find(({ version }) => version === 1);
  const reserved = first === undefined ? evidence.row(event)?.outcome === 'a' : first.fact === 'reserved';
  return reserved ? { effect: 'reserved', outcome: 'a', cause: 'reserved' } : { effect: 'none', outcome: 'r', cause: first?.reason ?? 'insufficient_stock' };
}

/** What the items of a purchase had when it came. */
export interface Finding {
  item: number;
  wanted: number;
  /** Null: never seen. */
  available: number | null;
}

/** All lines or none. */
export function decisionOn(findings: readonly Finding[]): { decision: 'reserved' | PurchaseReason; lacking: readonly Finding[] } {
  const unseen = findings.filter(({ available }) => available === null);
  if (unseen.length > 0) return { decision: 'unknown_item', lacking: unseen };
  const short = findings.filter(({ available, wanted }) => (available ?? 0) < wanted);
  return short.length > 0 ? { decision: 'insufficient_stock', lacking: short } : { decision: 'reserved', lacking: [] };
}
