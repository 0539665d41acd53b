import type { Mapping } from '../catalogue/index.ts';
import type { InventoryChanged, InventoryLevel, InventorySnapshotChunk } from '../contract/index.ts';
import { readStock, StockFold, writeStock } from '../inventory/index.ts';
import { askSync, noteChanges, readUserDataField, snapshotOf, upsertListings, type Listing, type RemoteProduct } from '../marketplace/index.ts';
import { enqueue, userMessage } from '../outbox/index.ts';
import { faultPoint } from '../platform/fault-points.ts';
import { derivedUuid } from '../platform/ids.ts';
import type { Encoder } from '../platform/kafka/index.ts';
import { lockUsers, type Transaction } from '../platform/postgres/index.ts';
import { endChunk, insertFindings, lockArrived, type ArrivedChunk } from './chunks.sql.ts';
import type { SnapshotProduct } from './cut.ts';
import { decide, type Decision, type State } from './decide.ts';
import { settleOldLines, trustItems } from './items.sql.ts';
import type { Cause, Counts, Finding, Kind } from './job.ts';
import { statesOf } from './states.ts';

/** A chunk's record, with what was looked up for it before the transaction. */
export interface PreparedChunk {
  readonly record: InventorySnapshotChunk;
  /** The products as they were exported. */
  readonly exported: ReadonlyMap<number, RemoteProduct>;
  /** Prints by blueprint; undefined: there is no catalogue. */
  readonly prints: ReadonlyMap<number, Mapping> | undefined;
}

export interface ApplyContext {
  readonly encoder: Encoder;
  /** Full name of the topic. */
  readonly inventoryLevels: string;
  /** How far an export may be behind, ms. */
  readonly settleMs: number;
  readonly now: number;
}

/** What a chunk has come to; `enqueued`: records in the outbox. */
export interface AppliedChunk {
  readonly counts: Counts;
  readonly enqueued: number;
  /** Operations of listing sync were asked for. */
  readonly operations: number;
}

/** A product, what is to be done about it, and the item it is, or becomes. */
interface Decided {
  readonly product: SnapshotProduct;
  readonly itemId: string;
  readonly known: boolean;
  readonly decision: Decision;
}

export const chunkKey = ({ job_id: jobId, chunk, event_id: eventId }: InventorySnapshotChunk): { jobId: string; chunk: number; eventId: string } => ({ jobId, chunk, eventId });

/**
 * Applies one chunk inside `tx`; undefined where there is nothing to do, because it was applied before or its job is over.
 *
 *   lock the user's lane → read what is known of each product → decide, pure → stock and ledger, listings, levels, findings → the chunk is done
 */
export async function applyChunk(tx: Transaction, chunk: PreparedChunk, context: ApplyContext): Promise<AppliedChunk | undefined> {
  const { record } = chunk;
  const userId = record.user_id;
  await lockUsers(tx, [userId]);
  const arrived = await lockArrived(tx, chunkKey(record));
  if (arrived === undefined || arrived.userId !== userId) return undefined;
  // What an import has made of a product once is that product's, also where its listing was forgotten since: `created` would put the export's number over it, whatever is newer.
  const named = record.products.map((product) => ({ productId: product.id, named: readUserDataField(product.user_data_field).itemId ?? itemIdOf(userId, product.id) }));
  const states = await statesOf(tx, userId, named, arrived.exportedAt - context.settleMs);
  const ambiguous = new Set([...arrived.ambiguous, ...severalOf(states)]);
  const decided = record.products.map((product, index): Decided => {
    const state = states[index];
    if (state === undefined) throw new Error(`${record.products.length} products were asked for, ${states.length} were answered`);
    const theirs = { productId: product.id, quantity: product.quantity, priceCents: product.price_cents, currency: product.currency };
    const own = itemIdOf(userId, product.id);
    return { product, itemId: state.itemId ?? own, known: state.exists || state.itemId !== own, decision: decide(theirs, state, { ...arrived, ambiguous }) };
  });
  const written = arrived.dryRun ? { enqueued: 0, operations: 0 } : await write(tx, arrived, decided, chunk, context);
  const unmapped = decided.flatMap((each) => unmappedOf(each, chunk.prints));
  await insertFindings(tx, arrived.jobId, [...decided.filter(({ decision: { kind } }) => kind !== 'same').map((each) => findingOf(each, chunk.exported)), ...unmapped]);
  const counts = countsOf(decided, unmapped.length);
  await endChunk(tx, arrived, counts);
  faultPoint('bulk.after-write');
  return { counts, ...written };
}

/** Items that are more than one of these products: one that is tied to it, whose listing was thought to be gone, and another one that names it. */
function severalOf(states: readonly State[]): string[] {
  const once = new Set<string>();
  const several: string[] = [];
  for (const { itemId } of states) {
    if (itemId === null) continue;
    if (once.has(itemId)) several.push(itemId);
    once.add(itemId);
  }
  return several;
}

/** What a new item is called: the same whenever it is asked. */
const itemIdOf = (userId: string, productId: number): string => derivedUuid(0, `item/${userId}/${productId}`);

async function write(tx: Transaction, arrived: ArrivedChunk, decided: readonly Decided[], { exported }: PreparedChunk, { encoder, inventoryLevels, now }: ApplyContext): Promise<{ enqueued: number; operations: number }> {
  const { userId } = arrived;
  const of = (...kinds: readonly Kind[]): Decided[] => decided.filter(({ decision }) => kinds.includes(decision.kind));
  const stock = new StockFold();
  const taken = of('created', 'adopted');
  for (const { itemId } of taken) stock.touch(userId, itemId);
  if (taken.length > 0) await readStock(tx, stock, []);
  const levels = taken.map((each) => {
    const event = importOf(each, arrived, now);
    stock.apply(event);
    return levelOf(event, stock, arrived.exportedAt);
  });
  await writeStock(tx, stock);
  await upsertListings(tx, userId, of('created', 'adopted', 'linked', 'pushed').map((each) => listingOf(each, arrived, exported)));
  await settleOldLines(tx, userId, of('created', 'adopted', 'linked').map(({ product, itemId }) => ({ productId: product.id, itemId })));
  await noteChanges(tx, taken.map(({ itemId }) => ({ userId, itemId, remote: 0 })));
  const pushed = of('pushed').map(({ itemId }) => ({ userId, itemId }));
  await trustItems(tx, userId, pushed.map(({ itemId }) => itemId));
  await askSync(tx, pushed);
  await enqueue(tx, levels.map((level) => userMessage(encoder, inventoryLevels, 'InventoryLevel', level)));
  return { enqueued: levels.length, operations: pushed.length + (arrived.listingSync ? taken.length : 0) };
}

/** CardTrader's number as an event of the item. Of an item that is known already its properties stay: its upstream has other names for them. */
function importOf({ product, itemId, decision }: Decided, { userId, jobId, exportedAt, buffer }: ArrivedChunk, now: number): InventoryChanged {
  const isNew = decision.kind === 'created';
  return {
    event_id: derivedUuid(exportedAt, `import/${jobId}/${product.id}`),
    user_id: userId,
    item_id: itemId,
    kind: 'SET',
    quantity: product.quantity + buffer,
    price_cents: product.price_cents,
    currency: product.currency,
    blueprint_id: product.blueprint_id,
    properties: isNew ? product.properties : null,
    version: null,
    source: IMPORT_SOURCE,
    occurred_at: now,
  };
}

/** Source of the ledger rows, and cause of the levels. */
export const IMPORT_SOURCE = 'import';

function levelOf({ event_id: eventId, user_id, item_id, occurred_at }: InventoryChanged, stock: StockFold, exportedAt: number): InventoryLevel {
  const { onHand, held } = stock.touch(user_id, item_id);
  return { event_id: derivedUuid(exportedAt, `level/${eventId}`), user_id, item_id, on_hand: onHand, held, available: onHand - held, cause: IMPORT_SOURCE, cause_event_id: eventId, occurred_at };
}

function listingOf({ product, itemId }: Decided, { userId, confirmedAt }: ArrivedChunk, exported: ReadonlyMap<number, RemoteProduct>): Listing {
  const { ownText, operationId } = readUserDataField(product.user_data_field);
  const whole = exported.get(product.id);
  return {
    userId,
    itemId,
    productId: product.id,
    blueprintId: product.blueprint_id,
    quantity: product.quantity,
    priceCents: product.price_cents,
    currency: product.currency,
    confirmedAt,
    operationId,
    gone: false,
    product: whole === undefined ? { name: null, description: product.description, userDataField: ownText, graded: null, properties: product.properties } : snapshotOf(whole, ownText),
    soldLines: [],
    mismatch: null,
    unaccounted: 0,
  };
}

const findingOf = ({ product, itemId, known, decision }: Decided, exported: ReadonlyMap<number, RemoteProduct>): Finding => ({
  kind: decision.kind,
  cause: decision.cause,
  productId: product.id,
  itemId: known || decision.kind === 'created' ? itemId : null,
  ours: decision.ours,
  theirs: product.quantity,
  name: exported.get(product.id)?.name ?? null,
});

function unmappedOf({ product, itemId, known }: Decided, prints: PreparedChunk['prints']): Finding[] {
  const found = prints?.get(product.blueprint_id)?.kind;
  if (found === 'print') return [];
  const cause: Cause = prints === undefined ? 'no_catalogue' : found === 'ambiguous' ? 'ambiguous_blueprint' : 'unknown_blueprint';
  return [{ kind: 'unmapped', cause, productId: product.id, itemId: known ? itemId : null, ours: null, theirs: product.quantity, name: null }];
}

function countsOf(decided: readonly Decided[], unmapped: number): Counts {
  const counts: Record<keyof Counts, number> = { created: 0, adopted: 0, linked: 0, pushed: 0, drifted: 0, left: 0, same: 0, unmapped };
  for (const { decision } of decided) counts[decision.kind] += 1;
  return counts;
}
