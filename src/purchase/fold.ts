import type { PurchaseCancelled, PurchaseReason, PurchaseRequested } from '../contract/index.ts';
import type { StockFold, StockMove } from '../inventory/index.ts';
import type { AskedOperation, Listed, Operation } from '../marketplace/index.ts';
import { decide, type Stimulus } from './decide.ts';
import { evolve } from './evolve.ts';
import { messageOf, type SagaMessage } from './messages.ts';
import { sagaLines, type Fact, type Saga, type SagaLine } from './saga.ts';

/** What a fold needs to know beside the state; all of it handed in, so that the fold is pure. */
export interface FoldContext {
  readonly now: number;
  /** How long a purchase may take, ms, if its own `expires_at` is not earlier. */
  readonly holdMs: number;
  /** An id that follows from a time (ms) and a name. */
  readonly derive: (ms: number, name: string) => string;
}

/** One step of a saga, as the history keeps it. */
export interface HistoryRow {
  readonly saga: Saga;
  readonly eventId: string;
  readonly fact: Fact;
}

/** A saga while it is folded. */
export interface SagaEntry {
  readonly userId: string;
  readonly purchaseId: string;
  /** Undefined while there is none. */
  saga: Saga | undefined;
  /** Version in the database; 0: it has no row yet. */
  storedVersion: number;
  operations: Operation[];
  listings: readonly Listed[];
  covered: boolean;
}

/**
 * The sagas a transaction touches, over the stock it touches. Pure: state in, events and stimuli in order, state out. Whoever runs
 * it holds the lanes of all users in it.
 */
export class PurchaseFold {
  readonly #stock: StockFold;
  readonly #context: FoldContext;
  readonly #entries = new Map<string, SagaEntry>();
  readonly history: HistoryRow[] = [];
  readonly messages: SagaMessage[] = [];
  readonly holds: { readonly saga: Saga; readonly line: SagaLine }[] = [];
  /** Sagas whose holds are over. */
  readonly released: Saga[] = [];
  readonly newOperations: AskedOperation[] = [];
  /** Operations that are not to be carried out any more. */
  readonly withdrawn: string[] = [];

  constructor(stock: StockFold, context: FoldContext) {
    this.#stock = stock;
    this.#context = context;
  }

  /** Every saga touched, in order of first touch. */
  get entries(): readonly SagaEntry[] {
    return [...this.#entries.values()];
  }

  /** Declares that this purchase is concerned, so that its state is read before the fold. */
  touch(userId: string, purchaseId: string): SagaEntry {
    const key = `${userId}/${purchaseId}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { userId, purchaseId, saga: undefined, storedVersion: 0, operations: [], listings: [], covered: true };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /** A PurchaseRequested: all lines reserved, or rejected. `duplicate`: the purchase is known under another event. */
  request(event: PurchaseRequested, traceparent: string | null = null): 'reserved' | 'rejected' | 'duplicate' {
    const entry = this.touch(event.user_id, event.purchase_id);
    if (entry.saga !== undefined) return 'duplicate';
    const saga = this.#started(event, traceparent);
    const refusal = this.#refusalOf(saga);
    this.#moveLines(saga, event.event_id, (line) => ({ kind: 'P', onHand: 0, held: refusal === undefined ? line.quantity : 0, outcome: refusal === undefined ? 'applied' : 'rejected', cause: refusal ?? 'reserved', occurredAt: event.occurred_at }));
    this.#apply(entry, saga, refusal === undefined ? { fact: 'reserved' } : { fact: 'rejected', reason: refusal });
    return refusal === undefined ? 'reserved' : 'rejected';
  }

  /** A PurchaseRequested that an operator gave up on: whoever sent it is told, and a replay will know it. */
  discardRequest(event: PurchaseRequested, traceparent: string | null = null): void {
    const entry = this.touch(event.user_id, event.purchase_id);
    if (entry.saga !== undefined) return;
    const saga = this.#started(event, traceparent);
    this.#moveLines(saga, event.event_id, () => ({ kind: 'P', onHand: 0, held: 0, outcome: 'dead_lettered', cause: 'discarded', occurredAt: event.occurred_at }));
    this.#apply(entry, saga, { fact: 'rejected', reason: 'discarded' });
  }

  /** A PurchaseCancelled. `stale`: the purchase is undone already, or never came about. */
  cancel(event: PurchaseCancelled): 'ok' | 'stale' | 'unknown_purchase' {
    const entry = this.touch(event.user_id, event.purchase_id);
    if (entry.saga === undefined) return 'unknown_purchase';
    const saga = entry.saga;
    const acted = decide(saga, this.#view(entry), { kind: 'cancel' }) !== undefined;
    // Its rows are written first: what follows from it stands behind it in the items' histories.
    this.#moveLines(saga, event.event_id, () => ({ kind: 'C', onHand: 0, held: 0, outcome: acted ? 'applied' : 'stale', cause: 'cancelled', occurredAt: event.occurred_at }));
    this.stimulate(entry, { kind: 'cancel' });
    return acted ? 'ok' : 'stale';
  }

  /** A PurchaseCancelled that an operator gave up on. Without its purchase there is nothing it could be told to. */
  discardCancel(event: PurchaseCancelled): void {
    const { saga } = this.touch(event.user_id, event.purchase_id);
    if (saga !== undefined) this.#moveLines(saga, event.event_id, () => ({ kind: 'C', onHand: 0, held: 0, outcome: 'dead_lettered', cause: 'discarded', occurredAt: event.occurred_at }));
  }

  /** Lets a saga do what there is to do. True if it took a step. */
  stimulate(entry: SagaEntry, stimulus: Stimulus): boolean {
    let stepped = false;
    for (let next: Stimulus = stimulus; entry.saga !== undefined; next = { kind: 'look' }) {
      const fact = decide(entry.saga, this.#view(entry), next);
      if (fact === undefined) break;
      // A saga with calls out waits for its operations; one that is reserved in this very transaction waits for its record.
      this.#apply(entry, entry.saga, fact);
      stepped = true;
    }
    return stepped;
  }

  #view(entry: SagaEntry): { operations: readonly Operation[]; listings: readonly Listed[]; covered: boolean; now: number } {
    return { operations: entry.operations, listings: entry.listings, covered: entry.covered, now: this.#context.now };
  }

  #started(event: PurchaseRequested, traceparent: string | null): Saga {
    const { now, holdMs } = this.#context;
    return {
      userId: event.user_id,
      purchaseId: event.purchase_id,
      eventId: event.event_id,
      startedAt: now,
      currency: event.currency,
      buyerId: event.buyer_id,
      lines: event.lines.map((line) => ({ itemId: line.item_id, quantity: line.quantity, unitPriceCents: line.unit_price_cents })),
      deadlineAt: Math.min(event.expires_at ?? Number.POSITIVE_INFINITY, now + holdMs),
      version: 0,
      state: 'RESERVED',
      reason: null,
      cancelled: false,
      sold: false,
      traceparent,
    };
  }

  #refusalOf(saga: Saga): PurchaseReason | undefined {
    const lines = sagaLines(saga.lines).map((line) => ({ ...line, item: this.#stock.touch(saga.userId, line.itemId) }));
    if (lines.some(({ item }) => !item.exists)) return 'unknown_item';
    if (lines.some(({ item, quantity }) => item.onHand - item.held < quantity)) return 'insufficient_stock';
    return undefined;
  }

  /** One ledger row an item; the first has the id itself, so that a look-up by event id finds it. */
  #moveLines(saga: Saga, id: string, how: (line: SagaLine) => Omit<StockMove, 'id' | 'purchaseId' | 'quantity'>): void {
    sagaLines(saga.lines).forEach((line, index) => {
      this.#stock.move(this.#stock.touch(saga.userId, line.itemId), { id: index === 0 ? id : lineId(id, index), purchaseId: saga.purchaseId, quantity: line.quantity, ...how(line) });
    });
  }

  /** One step: what it does to the saga, to stock and operations, and the record that tells it. */
  #apply(entry: SagaEntry, before: Saga, fact: Fact): void {
    const { now, derive } = this.#context;
    const after = evolve(before, fact);
    const eventId = derive(after.startedAt, `saga/${after.userId}/${after.purchaseId}/${after.version}`);
    entry.saga = after;
    this.history.push({ saga: after, eventId, fact });
    this.messages.push(messageOf(fact, before, after, eventId, now));
    switch (fact.fact) {
      case 'reserved':
        for (const line of sagaLines(after.lines)) this.holds.push({ saga: after, line });
        break;
      case 'called':
        for (const { itemId, quantity } of fact.take) this.#ask(entry, after, { itemId, quantity, kind: 'TAKE', returns: null }, entry.listings.find((listed) => listed.itemId === itemId)?.productId ?? null);
        break;
      case 'confirmed':
        this.#moveLines(after, eventId, ({ quantity }) => ({ kind: 'T', onHand: -quantity, held: -quantity, outcome: 'applied', cause: 'sold', occurredAt: now }));
        this.released.push(after);
        break;
      case 'compensating':
        this.#withdraw(entry, fact.withdraw);
        this.#giveBack(entry, after, fact.giveBack);
        break;
      case 'giving_back':
        this.#giveBack(entry, after, fact.giveBack);
        break;
      case 'compensated':
        this.#moveLines(after, eventId, ({ quantity }) => ({ kind: 'B', ...(before.sold ? { onHand: quantity, held: 0 } : { onHand: 0, held: -quantity }), outcome: 'applied', cause: fact.reason, occurredAt: now }));
        if (!before.sold) this.released.push(after);
        break;
      case 'rejected':
      case 'unknown':
      case 'found':
      case 'stuck':
      case 'cancel_noted':
      case 'resumed':
        break;
    }
  }

  #ask(entry: SagaEntry, saga: Saga, asked: Pick<Operation, 'itemId' | 'quantity' | 'kind' | 'returns'>, productId: number | null): void {
    const id = this.#context.derive(saga.startedAt, `operation/${saga.userId}/${saga.purchaseId}/${asked.kind}/${asked.itemId}`);
    const operation: Operation = { id, ...asked, state: 'PENDING', reason: null };
    entry.operations.push(operation);
    this.newOperations.push({ userId: saga.userId, purchaseId: saga.purchaseId, operation, productId });
  }

  #giveBack(entry: SagaEntry, saga: Saga, takes: readonly string[]): void {
    for (const take of entry.operations.filter(({ id }) => takes.includes(id))) this.#ask(entry, saga, { itemId: take.itemId, quantity: take.quantity, kind: 'RETURN', returns: take.id }, null);
  }

  #withdraw(entry: SagaEntry, operations: readonly string[]): void {
    this.withdrawn.push(...operations);
    entry.operations = entry.operations.map((operation) => (operations.includes(operation.id) ? { ...operation, state: 'WITHDRAWN' } : operation));
  }
}

/** Ids of the rows of one event or step beyond the first: the last 48 bits differ, by an odd factor, so that no two are alike. */
export function lineId(id: string, index: number): string {
  const last = BigInt(`0x${id.slice(24)}`) ^ ((BigInt(index) * 0x9e3779b97f4b5n) & 0xffffffffffffn);
  return `${id.slice(0, 24)}${last.toString(16).padStart(12, '0')}`;
}
