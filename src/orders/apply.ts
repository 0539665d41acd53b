import type { InventoryChanged } from '../contract/index.ts';
import { readUserDataField, type OrderLine, type RemoteOrder } from '../marketplace/index.ts';
import { enqueue, userMessage } from '../outbox/index.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { derivedUuid } from '../platform/ids.ts';
import type { Encoder } from '../platform/kafka/index.ts';
import { DatabaseFailure, inTransaction, lockUsers, type Database, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { see, type View } from './decide.ts';
import { carryOut } from './effects.ts';
import type { OrderRecord } from './ledger.ts';
import { readCancellations, readItems, readLines, readOrders, writeOrders } from './ledger.sql.ts';
import { relistedOf, resolve, type Relisted } from './relisted.ts';

export interface ApplyDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly encoder: Encoder;
  /** Full name of the topic of marketplace events. */
  readonly marketplaceEvents: string;
  readonly onRetry: (failure: DatabaseFailure) => void;
}

/** What somebody read of a seller's orders. */
export interface Sighting {
  readonly userId: string;
  /** When the account was taken on, milliseconds. */
  readonly since: number;
  readonly views: readonly View[];
  /** Orders that could not be read, and orders there are no more. */
  readonly unreadable: readonly number[];
  readonly destroyed: readonly number[];
}

export interface AppliedOrders {
  /** Orders about which something was new. */
  readonly changed: readonly OrderRecord[];
  readonly events: readonly InventoryChanged[];
}

const NOTHING: AppliedOrders = { changed: [], events: [] };

/**
 * Takes what was read of orders into the ledger, in one transaction under the seller's lane: what is new of them, and an event on
 * `brx.marketplace-events` for each line that changes stock. What is known already, as nearly always, costs one look and no transaction.
 */
export async function applySighting(deps: ApplyDeps, sighting: Sighting): Promise<AppliedOrders> {
  if ((await changesOf(deps.postgres.prisma, sighting)).length === 0) return NOTHING;
  await deps.encoder.prepare();
  return inTransaction(
    deps.postgres,
    async (tx) => {
      await lockUsers(tx, [sighting.userId]);
      return write(tx, deps, sighting.userId, await changesOf(tx, sighting));
    },
    { onRetry: deps.onRetry },
  );
}

/** As `applySighting`, and one order the database refuses stops no other: the views are halved until it stands alone, and it is set aside as unreadable. */
export async function applyOrSetAside(deps: ApplyDeps, sighting: Sighting, onRefused: (error: string) => void): Promise<AppliedOrders> {
  try {
    return await applySighting(deps, sighting);
  } catch (error) {
    if (!(error instanceof DatabaseFailure) || (error.kind !== 'data' && error.kind !== 'duplicate') || sighting.views.length === 0) throw error;
    const { views } = sighting;
    if (views.length === 1) {
      onRefused(error.message);
      return applySighting(deps, { ...sighting, views: [], unreadable: [...sighting.unreadable, ...views.map(({ order }) => order.id)] });
    }
    const middle = views.length >> 1;
    const first = await applyOrSetAside(deps, { ...sighting, views: views.slice(0, middle) }, onRefused);
    const second = await applyOrSetAside(deps, { ...sighting, views: views.slice(middle), unreadable: [], destroyed: [] }, onRefused);
    return { changed: [...first.changed, ...second.changed], events: [...first.events, ...second.events] };
  }
}

async function write(tx: Transaction, { clock, encoder, marketplaceEvents }: ApplyDeps, userId: string, records: readonly OrderRecord[]): Promise<AppliedOrders> {
  if (records.length === 0) return NOTHING;
  const now = clock.now();
  const carried = records.map((record) => carryOut(userId, record, now, derivedUuid));
  const events = carried.flatMap((each) => each.events);
  await writeOrders(tx, userId, carried.map(({ record }) => record));
  await enqueue(tx, events.map((event) => userMessage(encoder, marketplaceEvents, 'InventoryChanged', event)));
  faultPoint('orders.after-write');
  return { changed: carried.map(({ record }) => record), events };
}

/** Records that are different with what was seen; under the lane or, to find out whether the lane is needed, without it. */
async function changesOf(database: Database, { userId, since, views, unreadable, destroyed }: Sighting): Promise<OrderRecord[]> {
  const sales = views.filter(({ order }) => order.orderAs !== 'buyer');
  const known = await readOrders(database, userId, [...sales.map(({ order }) => order.id), ...unreadable, ...destroyed]);
  const itemOf = await itemsOf(database, userId, sales.map(({ order }) => order), known);
  const after = new Map<number, OrderRecord>();
  for (const view of sales) after.set(view.order.id, see(after.get(view.order.id) ?? known.get(view.order.id), view, { since, itemOf }));
  for (const id of unreadable) if (!known.has(id) && !after.has(id)) after.set(id, { orderId: id, code: null, state: 'unreadable', viaZero: null, presale: null, seenAt: 0, open: true, lines: [] });
  for (const id of destroyed) {
    const record = known.get(id);
    if (record !== undefined && !after.has(id)) after.set(id, { ...record, state: 'destroyed', open: false });
  }
  return [...after.values()].filter((record) => !isSame(known.get(record.orderId), record));
}

/** Which item a line belongs to: that of its product's listing, else the one its `user_data_field` names, if there is one. */
async function itemsOf(database: Database, userId: string, orders: readonly RemoteOrder[], known: ReadonlyMap<number, OrderRecord>): Promise<(line: OrderLine) => string | null> {
  const mapped = new Set([...known.values()].flatMap(({ lines }) => lines.filter(({ itemId }) => itemId !== null).map(({ lineId }) => lineId)));
  const lines = orders.flatMap((order) => order.lines).filter(({ id }) => !mapped.has(id));
  const named = (line: OrderLine): string | null => readUserDataField(line.userDataField).itemId;
  const { products, items } = await readItems(database, userId, lines.flatMap(({ productId }) => productId ?? []), lines.flatMap((line) => named(line) ?? []));
  return (line) => {
    const own = named(line);
    return (line.productId === null ? undefined : products.get(line.productId)) ?? (own !== null && items.has(own) ? own : null);
  };
}

/** When it was seen last does not count: every poll would write every order. */
const isSame = (before: OrderRecord | undefined, after: OrderRecord): boolean => before !== undefined && comparable(before) === comparable(after);
const comparable = ({ orderId, code, state, viaZero, presale, open, lines }: OrderRecord): string =>
  JSON.stringify([orderId, code, state, viaZero, presale, open, lines.map((line) => [line.lineId, line.productId, line.blueprintId, line.itemId, line.name, line.counting, line.quantity, line.cancelled, line.relisted, line.kept, line.soldAt, line.cancelledAt])]);

/** Copies of an item that CardTrader shows, by an export made at a time of its clock (milliseconds). */
export interface FoundCopies {
  readonly userId: string;
  readonly itemId: string;
  readonly found: number;
  readonly at: number;
}

/** Decides about an item's cancelled copies by what CardTrader shows (relisted.ts), under the lane, and carries it out. */
export async function applyCount(deps: ApplyDeps, { userId, itemId, found, at }: FoundCopies, settleMs: number): Promise<AppliedOrders & { answer: Relisted }> {
  await deps.encoder.prepare();
  return inTransaction(
    deps.postgres,
    async (tx) => {
      await lockUsers(tx, [userId]);
      const [open] = await readCancellations(tx, userId, { itemId, most: 1 });
      if (open === undefined) return { ...NOTHING, answer: 'unclear' };
      const { confirmed, confirmedAt, soldLines, busy } = open;
      const lines = await readLines(tx, userId, itemId, confirmedAt - LINES_BEFORE_MS);
      const answer = relistedOf({ found, at, confirmed, confirmedAt, soldLines, busy }, lines.map(({ line }) => line), settleMs);
      if (answer !== 'all' && answer !== 'none') return { ...NOTHING, answer };
      const records = await readOrders(tx, userId, lines.map(({ orderId }) => orderId));
      const resolved = [...records.values()].map((record) => ({ ...record, lines: record.lines.map((line) => (line.itemId === itemId ? resolve(line, answer) : line)) }));
      return { ...(await write(tx, deps, userId, resolved.filter((record) => !isSame(records.get(record.orderId), record)))), answer };
    },
    { onRetry: deps.onRetry },
  );
}

/** More than the whole seconds of CardTrader's clock. */
const LINES_BEFORE_MS = 5_000;

/** An operator says what became of the copies of a line that were called off. False: there is no such line, or nothing is open about it. */
export async function resolveLine(deps: ApplyDeps, { userId, orderId, lineId, answer, record: audit }: { userId: string; orderId: number; lineId: number; answer: 'all' | 'none'; record: (tx: Transaction) => Promise<void> }): Promise<AppliedOrders> {
  await deps.encoder.prepare();
  return inTransaction(
    deps.postgres,
    async (tx) => {
      await lockUsers(tx, [userId]);
      const record = (await readOrders(tx, userId, [orderId])).get(orderId);
      if (record === undefined) return NOTHING;
      const resolved = { ...record, lines: record.lines.map((line) => (line.lineId === lineId ? resolve(line, answer) : line)) };
      if (isSame(record, resolved)) return NOTHING;
      await audit(tx);
      return write(tx, deps, userId, [resolved]);
    },
    { onRetry: deps.onRetry },
  );
}
