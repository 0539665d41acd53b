import { CARDTRADER_SOURCE, type InventoryChanged, type InventoryLevel } from '../contract/index.ts';
import type { StockFold } from '../inventory/index.ts';
import { enqueue, userMessage } from '../outbox/index.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { derivedUuid } from '../platform/ids.ts';
import { lockUsers, type Transaction } from '../platform/postgres/index.ts';
import { traceparentOf } from '../platform/tracing/index.ts';
import { openFolds, readPurchases, writePurchases, type HistoryRow, type PurchaseContext, type PurchaseFold } from '../purchase/index.ts';
import { buryDeadLetters, readBuried, type DeadEntry, type DeadLetterReason, type EventEntry } from '../records/index.ts';
import { appendParkedEvents, readParked } from './parking.sql.ts';
import type { IngestEntry, MarketplaceEntry, Outcome } from './record.ts';

/** What one committed chunk has done; `outcomes[i]` belongs to `entries[i]`. */
export interface ChunkResult {
  readonly outcomes: readonly Outcome[];
  readonly deadLetters: readonly DeadLetterReason[];
  /** Records that were put into the outbox. */
  readonly enqueued: number;
  /** Steps that sales took. */
  readonly steps: readonly HistoryRow[];
}

export interface ChunkRules {
  readonly consumerGroup: string;
  readonly now: number;
  /** Events that occurred before this instant (ms) are refused as too old. */
  readonly tooOldBefore: number;
  /** Whether events of parked users are appended behind their parked ones; false when those are being retried themselves. */
  readonly respectParking: boolean;
  readonly purchase: PurchaseContext;
}

/** Stock and sagas as one chunk finds and leaves them. */
export interface Folds {
  readonly stock: StockFold;
  readonly purchases: PurchaseFold;
}

/**
 * Applies a run of records inside `tx`: everything a chunk does to the database, in the order it must be done.
 *
 *   lock lanes → read what is known → fold, pure → write stock, sagas, messages, parked events and dead letters
 *
 * Once the lanes are held nobody else can change these users, so what is read stays true until the commit. A record seen before
 * is a duplicate; a zombie that applies this very chunk a moment earlier only makes all of it duplicates.
 */
export async function applyChunk(tx: Transaction, entries: readonly IngestEntry[], rules: ChunkRules): Promise<ChunkResult> {
  const events = entries.filter((entry): entry is MarketplaceEntry => entry.kind === 'event');
  faultPoint('ingest.after-begin');
  const folds = openFolds(rules.purchase, rules.now);
  for (const entry of events) touch(folds, entry);
  await lockUsers(tx, new Set(events.map(({ event }) => event.user_id)));
  faultPoint('ingest.after-lock');

  const eventIds = events.map(({ event }) => event.event_id);
  const known = events.length === 0 ? new Set<number>() : await readPurchases(tx, folds, eventIds);
  // Most chunks hold no cancellation, and are spared the question.
  const cancels = events.filter(({ type }) => type === 'PurchaseCancelled');
  const buried = await readBuried(tx, cancels.map(({ source }) => source));
  const parked = rules.respectParking && events.length > 0 ? await readParked(tx, events) : NOBODY_PARKED;
  faultPoint('ingest.after-read');

  const decided = decide(entries, folds, rules, {
    inLedger: new Set([...known].map((index) => eventIds[index] ?? '')),
    parkedEvents: parked.eventIds,
    parkedUsers: parked.userIds,
    buried: new Set(cancels.filter((_, index) => buried.has(index)).map(placeOf)),
  });

  await writePurchases(tx, folds, rules.purchase, rules.now);
  const { encoder, topics } = rules.purchase;
  await enqueue(tx, decided.levels.map(({ level, traceparent }) => userMessage(encoder, topics.inventoryLevels, 'InventoryLevel', level, traceparent)));
  if (decided.parked.length > 0) await appendParkedEvents(tx, decided.parked);
  await buryDeadLetters(tx, decided.dead, rules.consumerGroup);
  faultPoint('ingest.after-write');
  return { outcomes: decided.outcomes, deadLetters: decided.dead.map((entry) => entry.reason), enqueued: folds.purchases.messages.length + decided.levels.length + decided.dead.length, steps: folds.purchases.history };
}

const NOBODY_PARKED = { userIds: new Set<string>(), eventIds: new Set<string>() };

/** Whether it may have something to publish, for which the encoder must be prepared. */
export const publishes = (entry: IngestEntry): boolean => entry.kind === 'event' && (entry.type !== 'InventoryChanged' || isFromCardTrader(entry));

/** Declares what an event is about, so that its state is read before the fold. The lines of a cancelled purchase stand in its saga. */
export function touch({ stock, purchases }: Folds, entry: MarketplaceEntry): void {
  switch (entry.type) {
    case 'InventoryChanged':
      stock.touch(entry.event.user_id, entry.event.item_id);
      break;
    case 'PurchaseRequested':
      purchases.touch(entry.event.user_id, entry.event.purchase_id);
      for (const line of entry.event.lines) stock.touch(entry.event.user_id, line.item_id);
      break;
    case 'PurchaseCancelled':
      purchases.touch(entry.event.user_id, entry.event.purchase_id);
      break;
  }
}

interface Known {
  readonly inLedger: ReadonlySet<string>;
  readonly parkedEvents: ReadonlySet<string>;
  readonly parkedUsers: ReadonlySet<string>;
  /** Places of cancellations that are dead letters already. */
  readonly buried: ReadonlySet<string>;
}

const placeOf = ({ source }: MarketplaceEntry): string => `${source.topic}/${source.partition}/${source.offset}`;

interface Decision {
  readonly outcomes: Outcome[];
  readonly dead: DeadEntry[];
  readonly parked: MarketplaceEntry[];
  /** Stock after changes the upstream did not cause. */
  readonly levels: { readonly level: InventoryLevel; readonly traceparent: string | null }[];
}

/** Decides each record in order; the order of the checks is the contract's (a duplicate is a duplicate however old it is). */
export function decide(entries: readonly IngestEntry[], folds: Folds, rules: Pick<ChunkRules, 'tooOldBefore'>, known: Known): Decision {
  const decision: Decision = { outcomes: [], dead: [], parked: [], levels: [] };
  const seen = new Set<string>();
  for (const entry of entries) decision.outcomes.push(decideOne(entry, folds, rules, known, seen, decision));
  return decision;
}

function decideOne(entry: IngestEntry, folds: Folds, rules: Pick<ChunkRules, 'tooOldBefore'>, known: Known, seen: Set<string>, decision: Decision): Outcome {
  if (entry.kind === 'dead') {
    decision.dead.push(entry);
    return 'dead';
  }
  const { event } = entry;
  const id = event.event_id;
  if (known.inLedger.has(id) || known.parkedEvents.has(id) || seen.has(id)) return 'duplicate';
  // Refused when its purchase was unknown; read again, it must not find the purchase that came behind it.
  if (entry.type === 'PurchaseCancelled' && known.buried.has(placeOf(entry))) {
    decision.dead.push(refused(entry, 'unknown_purchase', 'refused before, at this place in the topic'));
    return 'dead';
  }
  const born = bornAt(event.event_id, event.occurred_at);
  if (born < rules.tooOldBefore) {
    decision.dead.push(refused(entry, 'too_old', `from ${new Date(born).toISOString()}, which is before the horizon ${new Date(rules.tooOldBefore).toISOString()}`));
    return 'dead';
  }
  if (known.parkedUsers.has(event.user_id)) {
    seen.add(id);
    decision.parked.push(entry);
    return 'parked';
  }
  const { outcome, refusal } = apply(entry, folds);
  if (outcome === 'ok' && isFromCardTrader(entry)) decision.levels.push({ level: levelAfter(entry.event, folds.stock), traceparent: traceparentOf(entry.source.headers) });
  if (refusal !== undefined) decision.dead.push(refused(entry, refusal.reason, refusal.detail));
  // What leaves no ledger row is known by its position alone: its id may come again, corrected or in time.
  if (refusal?.reason !== 'unknown_purchase') seen.add(id);
  return outcome;
}

interface Applied {
  readonly outcome: Outcome;
  readonly refusal?: { readonly reason: DeadLetterReason; readonly detail: string };
}

function apply(entry: MarketplaceEntry, { stock, purchases }: Folds): Applied {
  switch (entry.type) {
    case 'InventoryChanged': {
      const { event } = entry;
      const refusal = stock.apply(event);
      if (refusal === undefined) return { outcome: 'ok' };
      if (refusal === 'stale') return { outcome: 'stale' };
      return { outcome: 'dead', refusal: { reason: refusal, detail: `ADJUST by ${event.quantity} of item ${event.item_id}, which has ${stock.touch(event.user_id, event.item_id).onHand}` } };
    }
    case 'PurchaseRequested': {
      const outcome = purchases.request(entry.event, traceparentOf(entry.source.headers));
      return { outcome: outcome === 'reserved' ? 'ok' : outcome };
    }
    case 'PurchaseCancelled': {
      const outcome = purchases.cancel(entry.event);
      if (outcome !== 'unknown_purchase') return { outcome };
      return { outcome: 'dead', refusal: { reason: outcome, detail: `purchase ${entry.event.purchase_id} of user ${entry.event.user_id} was never requested, or its request could not be used` } };
    }
  }
}

const isFromCardTrader = (entry: MarketplaceEntry): entry is EventEntry<'InventoryChanged'> => entry.type === 'InventoryChanged' && entry.event.source === CARDTRADER_SOURCE && entry.event.kind === 'ADJUST' && entry.event.quantity !== 0;

/** What the upstream is told of a change on CardTrader. */
function levelAfter({ event_id: eventId, user_id, item_id, quantity, occurred_at }: InventoryChanged, stock: StockFold): InventoryLevel {
  const { onHand, held } = stock.touch(user_id, item_id);
  const cause = quantity < 0 ? 'remote_sale' : 'remote_cancel';
  return { event_id: derivedUuid(occurred_at, `level/${eventId}`), user_id, item_id, on_hand: onHand, held, available: onHand - held, cause, cause_event_id: eventId, occurred_at };
}

export function refused(entry: MarketplaceEntry, reason: DeadLetterReason, detail: string): DeadEntry {
  return { kind: 'dead', source: entry.source, reason, detail, userId: entry.event.user_id, eventId: entry.event.event_id };
}

/**
 * The instant an event dates from: when it occurred, or, for a uuid v7, when its id was made, if that is earlier. The ledger is
 * pruned along its primary key, which for v7 ids is their time, so an id from before the horizon may have been forgotten however
 * recently the event claims to have occurred.
 */
export function bornAt(eventId: string, occurredAt: number): number {
  if (eventId[14] !== '7') return occurredAt;
  return Math.min(occurredAt, Number.parseInt(eventId.slice(0, 8) + eventId.slice(9, 13), 16));
}
