import { TOPICS, topicName, type InventoryChanged } from '../contract/index.ts';
import { readStock, StockFold, writeStock } from '../inventory/index.ts';
import { askSync, markGone, noteChanges, selectLinked } from '../marketplace/index.ts';
import { enqueue, userMessage } from '../outbox/index.ts';
import type { Clock } from '../platform/clock.ts';
import { derivedUuid } from '../platform/ids.ts';
import { createEncoder, type Registry } from '../platform/kafka/index.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { deleteDrift, selectDrift, type DriftRow } from './drift.sql.ts';
import { confirmListings, selectRelisted } from './items.sql.ts';
import { CAUSES } from './job.ts';
import { haveOrdersRead } from './orders-read.ts';
import { statesOf } from './states.ts';

/** What mends a difference. */
export const FIXES = {
  push: 'listing sync brings CardTrader to what is here',
  set_here: 'the number here becomes CardTrader’s, through the ledger; the upstream is told',
  mark_gone: 'the listing is marked as gone: its sales need no step on CardTrader any more',
  import: 'nothing by itself: `brx-sync sync USER --mode adopt-remote` takes it in',
  list_there: 'nothing by itself: turn listing sync on, or list it on CardTrader',
} as const;
export type Fix = keyof typeof FIXES;

/** With listing sync on, what is here counts; without it CardTrader's number does, because nobody would carry ours there. Pure. */
export function fixOf({ cause, listingSync }: Pick<DriftRow, 'cause' | 'listingSync'>): Fix {
  if (cause === 'gone') return 'mark_gone';
  if (cause === 'not_here' || cause === 'not_linked') return 'import';
  if (listingSync) return 'push';
  return cause === 'not_there' ? 'list_there' : 'set_here';
}

export interface FixDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly registry: Pick<Registry, 'versions'>;
  readonly topicPrefix: string;
  /** How long whoever reads orders is waited for, ms; 0: nobody does, so no sale there will ever be heard of. */
  readonly ordersPatienceMs: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

export interface Fixed {
  readonly done: readonly { readonly subject: string; readonly fix: Fix }[];
  readonly skipped: readonly { readonly subject: string; readonly why: string }[];
}

/**
 * Mends differences of one seller in one transaction, those of which nothing has changed since they were seen, and writes down who did it. Two reports may agree on what a sale there has
 * done that nobody has heard of yet:
 *
 *   5 here, 2 sold there ─► report, report: 3 there ─► SET 3 here, or 5 there again ─► the order is read: 1 here, or two cards sold twice
 *
 * so the seller's orders are read first; then the item counts as changed.
 */
export async function applyFixes(deps: FixDeps, userId: string, rows: readonly DriftRow[], { who, reason }: { who: string; reason: string }): Promise<Fixed> {
  if (rows.length === 0) return { done: [], skipped: [] };
  const encoder = createEncoder(deps.registry, ['InventoryLevel']);
  await encoder.prepare();
  const counted = rows.filter(isOfCopies);
  const ordersRead = counted.length === 0 || deps.ordersPatienceMs === 0 || (await haveOrdersRead(deps.postgres, userId, Math.max(...counted.map(({ seenAt }) => seenAt.getTime())), { clock: deps.clock, patienceMs: deps.ordersPatienceMs, signal: deps.signal }));
  return inTransaction(deps.postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const { ready, skipped } = await stillSo(tx, userId, rows, ordersRead);
    const of = (fix: Fix): DriftRow[] => ready.filter((row) => fixOf(row) === fix);
    const levels = await setHere(tx, userId, of('set_here'), deps.clock.now());
    await enqueue(tx, levels.map((level) => userMessage(encoder, topicName(deps.topicPrefix, TOPICS.inventoryLevels), 'InventoryLevel', level)));
    const pushed = of('push').flatMap(({ itemId }) => itemId ?? []);
    await confirmListings(tx, userId, shownOf(of('push'))); // else what differs is taken for a sale there, and left
    await askSync(tx, pushed.map((itemId) => ({ userId, itemId })));
    const gone = new Set(of('mark_gone').flatMap(({ itemId }) => itemId ?? []));
    if (gone.size > 0) await markGone(tx, userId, (await selectLinked(tx, userId)).filter(({ itemId }) => gone.has(itemId)), { kind: 'gone', at: deps.clock.now(), expected: null, found: null, operationId: null });
    const done = ready.map((row) => ({ subject: row.subject, fix: fixOf(row) }));
    await deleteDrift(tx, userId, done.map(({ subject }) => subject));
    await recordOperatorAction(tx, { who, action: 'drift.apply', target: userId, reason, detail: { done, skipped: skipped.length } });
    return { done, skipped };
  });
}

/** Whether mending it moves copies, on either side. */
const isOfCopies = (row: DriftRow): boolean => row.cause !== 'price' && (fixOf(row) === 'push' || fixOf(row) === 'set_here');

const shownOf = (rows: readonly DriftRow[]): { itemId: string; quantity: number }[] => rows.flatMap(({ itemId, theirs }) => (itemId === null || theirs === null ? [] : [{ itemId, quantity: theirs }]));

/** More than one seller has items. */
const MOST_DRIFT = 10_000_000;

async function stillSo(tx: Transaction, userId: string, rows: readonly DriftRow[], ordersRead: boolean): Promise<{ ready: DriftRow[]; skipped: { subject: string; why: string }[] }> {
  const ready: DriftRow[] = [];
  const skipped: { subject: string; why: string }[] = [];
  // Whoever asks has read these rows without the lane: another report may have ended since.
  const jobs = new Map((await selectDrift(tx, userId, { all: true, limit: MOST_DRIFT })).map(({ subject, jobId }) => [subject, jobId]));
  const relisted = await selectRelisted(tx, userId, rows.flatMap(({ itemId, productId, seenAt }) => (itemId === null ? [] : [{ itemId, productId, since: seenAt.getTime() }])));
  for (const row of rows) {
    const fix = fixOf(row);
    if (fix === 'import' || fix === 'list_there' || row.itemId === null) {
      skipped.push({ subject: row.subject, why: FIXES[fix] });
      continue;
    }
    if (!ordersRead && isOfCopies(row)) {
      skipped.push({ subject: row.subject, why: CAUSES.orders_not_read });
      continue;
    }
    const [state] = await statesOf(tx, userId, [{ productId: row.productId ?? 0, named: row.itemId }], row.seenAt.getTime());
    const isNewer = jobs.get(row.subject) !== row.jobId || relisted.has(row.itemId);
    if (isNewer || state === undefined || state.itemId !== row.itemId || state.busy || state.held > 0 || state.changed) skipped.push({ subject: row.subject, why: 'it has changed since, or is in motion: the next report tells' });
    else ready.push(row);
  }
  return { ready, skipped };
}

/** CardTrader's numbers as events of the items. Needs the user's lane; answers what the upstream is told. */
async function setHere(tx: Transaction, userId: string, rows: readonly DriftRow[], now: number) {
  const stock = new StockFold();
  const events = rows.flatMap(({ itemId, subject, theirs, jobId, buffer }): InventoryChanged[] =>
    itemId === null || theirs === null
      ? []
      : [{ event_id: derivedUuid(now, `reconcile/${userId}/${jobId}/${subject}`), user_id: userId, item_id: itemId, kind: 'SET', quantity: theirs + buffer, price_cents: null, currency: null, blueprint_id: null, properties: null, version: null, source: RECONCILE_SOURCE, occurred_at: now }],
  );
  for (const event of events) stock.touch(event.user_id, event.item_id);
  if (events.length > 0) await readStock(tx, stock, []);
  const levels = events.map((event) => {
    stock.apply(event);
    const { onHand, held } = stock.touch(event.user_id, event.item_id);
    return { event_id: derivedUuid(now, `level/${event.event_id}`), user_id: event.user_id, item_id: event.item_id, on_hand: onHand, held, available: onHand - held, cause: RECONCILE_SOURCE, cause_event_id: event.event_id, occurred_at: now };
  });
  await writeStock(tx, stock);
  await noteChanges(tx, events.map(({ item_id: itemId }) => ({ userId, itemId, remote: 0 })));
  await confirmListings(tx, userId, shownOf(rows));
  return levels;
}

const RECONCILE_SOURCE = 'reconcile';
