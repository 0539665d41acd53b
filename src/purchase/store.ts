import { CARDTRADER_SOURCE, TOPICS, topicName } from '../contract/index.ts';
import { askOperations, noteChanges, readListed, readOperations, type StockChange } from '../marketplace/index.ts';
import { readStock, StockFold, writeMoves, writeStock, type Item } from '../inventory/index.ts';
import { enqueue, userMessage } from '../outbox/index.ts';
import { derivedUuid } from '../platform/ids.ts';
import { createEncoder, type Encoder, type Registry } from '../platform/kafka/index.ts';
import type { Transaction } from '../platform/postgres/index.ts';
import { PurchaseFold, type FoldContext, type SagaEntry } from './fold.ts';
import type { SagaMessage } from './messages.ts';
import { readHeldThrough, readSagas, writeSagas } from './sagas.sql.ts';
import { sagaLines, type Saga } from './saga.ts';

/** Records that are published with stock and sagas: what the encoder must know. */
export const PUBLISHED_RECORDS = ['PurchaseReserved', 'PurchaseAdvanced', 'PurchaseSettled', 'InventoryLevel'] as const;

/** What a transaction with purchases needs beside itself. */
export interface PurchaseContext {
  /** To be prepared before the transaction. */
  readonly encoder: Encoder;
  /** Full names. */
  readonly topics: Readonly<Record<SagaMessage['topic'] | 'inventoryLevels', string>>;
  /** How long a purchase may take, ms. */
  readonly holdMs: number;
}

export function createPurchaseContext(registry: Pick<Registry, 'versions'>, { topicPrefix, holdMs }: { topicPrefix: string; holdMs: number }): PurchaseContext {
  return {
    encoder: createEncoder(registry, PUBLISHED_RECORDS),
    topics: { sagaEvents: topicName(topicPrefix, TOPICS.sagaEvents), purchaseOutcomes: topicName(topicPrefix, TOPICS.purchaseOutcomes), inventoryLevels: topicName(topicPrefix, TOPICS.inventoryLevels) },
    holdMs,
  };
}

/** Sagas over stock, both empty; touch what is concerned, then `readPurchases`. */
export function openFolds(context: PurchaseContext, now: number): { stock: StockFold; purchases: PurchaseFold } {
  const stock = new StockFold();
  const given: FoldContext = { now, holdMs: context.holdMs, derive: derivedUuid };
  return { stock, purchases: new PurchaseFold(stock, given) };
}

/**
 * Loads the sagas that were touched, what belongs to them, and all stock concerned; answers which of `eventIds` the ledger knows (by
 * index). Needs the lanes of all users concerned.
 */
export async function readPurchases(tx: Transaction, { stock, purchases }: { stock: StockFold; purchases: PurchaseFold }, eventIds: readonly string[]): Promise<Set<number>> {
  const { entries } = purchases;
  await readSagas(tx, entries);
  for (const { saga } of entries) for (const line of saga?.lines ?? []) stock.touch(saga?.userId ?? '', line.itemId);
  await readRemote(tx, entries);
  const known = await readStock(tx, stock, eventIds);
  await readCover(tx, stock, purchases);
  return known;
}

/** Operations of sagas that have called, listings of the items of those that are about to. */
async function readRemote(tx: Transaction, entries: readonly SagaEntry[]): Promise<void> {
  const called: SagaEntry[] = [];
  const reserved: { entry: SagaEntry; itemIds: string[] }[] = [];
  for (const entry of entries) {
    const { saga } = entry;
    if (saga === undefined || saga.state === 'REJECTED' || saga.state === 'COMPENSATED') continue;
    if (saga.state === 'RESERVED') reserved.push({ entry, itemIds: sagaLines(saga.lines).map(({ itemId }) => itemId) });
    else called.push(entry);
  }
  const operations = await readOperations(tx, called);
  called.forEach((entry, index) => (entry.operations = operations[index] ?? []));
  const listings = await readListed(tx, reserved.map(({ entry, itemIds }) => ({ userId: entry.userId, itemIds })));
  reserved.forEach(({ entry }, index) => (entry.listings = listings[index] ?? []));
}

/** Whether stock still covers the holds of sagas that wait to go on: only a SET below what is held can have changed that. */
async function readCover(tx: Transaction, stock: StockFold, purchases: PurchaseFold): Promise<void> {
  const doubtful = purchases.entries.flatMap((entry) => {
    const { saga } = entry;
    if (saga?.state !== 'RESERVED') return [];
    const items = [...new Set(saga.lines.map(({ itemId }) => itemId))].map((itemId) => stock.touch(saga.userId, itemId)).filter((item) => item.onHand < item.held);
    return items.map((item) => ({ entry, item }));
  });
  if (doubtful.length === 0) return;
  const through = await readHeldThrough(tx, doubtful.map(({ entry, item }) => ({ userId: item.userId, itemId: item.itemId, purchaseId: entry.purchaseId })));
  doubtful.forEach(({ entry, item }, index) => {
    if ((through[index] ?? 0) > item.onHand) entry.covered = false;
  });
}

/** Writes everything the folds have changed: stock, ledger, sagas, history, holds, and the records that tell of it. */
export async function writePurchases(tx: Transaction, { stock, purchases }: { stock: StockFold; purchases: PurchaseFold }, context: PurchaseContext, now: number): Promise<void> {
  await writeStock(tx, stock);
  await writeMoves(tx, stock.moves);
  await writeSagas(tx, purchases, now, (saga) => nextActionAt(saga, now));
  await askOperations(tx, purchases.newOperations, purchases.withdrawn);
  await noteChanges(tx, changesOf(stock));
  await enqueue(tx, purchases.messages.map((message) => outboxMessage(context, message)));
}

/**
 * What listing sync must know. A sale there that our stock could not follow, because it had gone to 0, is known nonetheless; one an operator has given up on is not: its copies are on hand here still,
 * and would be put up there again.
 */
function changesOf({ items, ledger }: StockFold): StockChange[] {
  const remote = new Map<Item, number>();
  for (const { event, item, outcome } of ledger) if (event.source === CARDTRADER_SOURCE && event.kind === 'ADJUST' && outcome === 'applied') remote.set(item, (remote.get(item) ?? 0) + event.quantity);
  return items.filter((item) => item.altered || remote.has(item)).map((item) => ({ userId: item.userId, itemId: item.itemId, remote: remote.get(item) ?? 0 }));
}

function outboxMessage({ encoder, topics }: PurchaseContext, message: SagaMessage) {
  // One call a record: TypeScript ties a name to its value only where both are one type.
  switch (message.record) {
    case 'PurchaseReserved':
      return userMessage(encoder, topics[message.topic], message.record, message.value, message.traceparent);
    case 'PurchaseAdvanced':
      return userMessage(encoder, topics[message.topic], message.record, message.value, message.traceparent);
    case 'PurchaseSettled':
      return userMessage(encoder, topics[message.topic], message.record, message.value, message.traceparent);
  }
}

/** A record that was lost, or came before what it tells of was there, is made up for by a look after so long. */
const LOOK_AGAIN_MS = { RESERVED: 15_000, CALLING: 30_000, RECONCILING: 30_000, COMPENSATING: 30_000, NEEDS_OPERATOR: 3_600_000 } as const;

/** When somebody looks at a saga that has not ended, whatever arrives meanwhile: soon, and at its deadline. */
export function nextActionAt(saga: Saga, now: number): number {
  const { state, deadlineAt } = saga;
  if (state === 'CONFIRMED' || state === 'REJECTED' || state === 'COMPENSATED') throw new RangeError(`a saga that is ${state} waits for nothing`);
  const again = now + LOOK_AGAIN_MS[state];
  return deadlineAt > now && state !== 'NEEDS_OPERATOR' && state !== 'COMPENSATING' ? Math.min(again, deadlineAt) : again;
}
