import { BrxError } from '../../errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { inTransaction, lockUsers, recordOperatorAction, type Postgres } from '../../platform/postgres/index.ts';
import type { CardTraderClient, Caller, RemoteProduct } from '../client/index.ts';
import type { Listing } from './listing.ts';
import { markGone, selectItems, selectLinked, selectUnlisted, upsertListings, type ItemHere, type LinkedRow } from './listings.sql.ts';
import { matchProducts } from './match.ts';

export interface LinkDeps {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly client: Pick<CardTraderClient, 'exportProducts'>;
}

export interface LinkOptions {
  readonly who: string;
  readonly reason?: string;
  /** Believes an export that lacks much of what is listed, or that could not be read whole. */
  readonly force: boolean;
  /** Says what would come of it, and writes nothing. */
  readonly dryRun?: boolean;
  /** Listings dealt with. */
  readonly onProgress?: (done: number, of: number) => void;
}

/** A product whose `user_data_field` names an item. */
export interface Tie {
  readonly itemId: string;
  readonly productId: number;
}

export interface Linked {
  /** In the export. */
  readonly products: number;
  /** Entries of the export that could not be read; with any, it is believed only by force. */
  readonly unread: number;
  /** Listings that are tied to an item now, and how many of them are new. */
  readonly linked: number;
  readonly fresh: number;
  /** Products whose text names no item, the first hundred of them by name. */
  readonly unnamed: { readonly count: number; readonly products: readonly { readonly productId: number; readonly name: string | null; readonly quantity: number }[] };
  /** Items that several products name: none of these is tied. */
  readonly ambiguous: readonly { readonly itemId: string; readonly productIds: readonly number[] }[];
  /** Products that name items nobody here has heard of. */
  readonly unknown: readonly Tie[];
  /** Items an operation is at work on, or was while the export was read: left as they are known. */
  readonly busy: readonly Tie[];
  /** Listed before, and not in the export. */
  readonly gone: readonly Tie[];
  /** Tied, and CardTrader has another number of copies than can be sold here; items with open operations are not compared. */
  readonly different: readonly (Tie & { readonly remote: number; readonly available: number })[];
  /** Items with stock and no listing: their sales need no step on CardTrader. The first hundred of them by id. */
  readonly unlisted: { readonly count: number; readonly itemIds: readonly string[] };
}

const ITEMS_A_TRANSACTION = 500;
/** An export that lacks more than this share of what is listed is not believed (cardtrader.md section 10: stale, cut or empty ones). */
const BELIEVED_LOSS = 0.1;
const NAMED = 100;

/**
 * Fills the listings of one seller from an export of their whole stock: each product whose `user_data_field` has an item's id belongs
 * to that item. What it says replaces what was known, mismatches too, except where that is newer: items with an operation that may have
 * been sent, and listings that were confirmed anew while the export was made, are left alone.
 * Ended by the caller's signal between two transactions: what is tied by then stays, and another run does the rest.
 */
export async function linkListings(deps: LinkDeps, caller: Caller, options: LinkOptions): Promise<Linked> {
  const { postgres, clock } = deps;
  const { userId, signal } = caller;
  const { who, reason = 'link', force, dryRun = false, onProgress } = options;
  const known = new Map((await selectLinked(postgres.prisma, userId)).map((row) => [row.itemId, row]));
  const { products, unread, exportedAt } = await exported(deps, caller);
  const { listings, unnamed, ambiguous } = matchProducts(userId, products, exportedAt ?? clock.now());
  const missing = believable([...known.values()].filter((row) => !row.gone), products, unread, force);

  const parts: TiedPart[] = [];
  for (let from = 0; from < listings.length; from += ITEMS_A_TRANSACTION) {
    signal?.throwIfAborted();
    parts.push(await tie(postgres, userId, listings.slice(from, from + ITEMS_A_TRANSACTION), known, dryRun));
    onProgress?.(Math.min(listings.length, from + ITEMS_A_TRANSACTION), listings.length);
  }
  const linked = parts.reduce((sum, { taken }) => sum + taken.length, 0);
  const fresh = parts.reduce((sum, part) => sum + part.fresh, 0);
  const named = new Set(listings.map(({ itemId }) => itemId));
  const lost = missing.filter(({ itemId }) => !named.has(itemId));
  const gone = dryRun
    ? lost.filter(({ busy }) => !busy).map(({ itemId }) => itemId)
    : await inTransaction(postgres, async (tx) => {
        await lockUsers(tx, [userId]);
        const marked = await markGone(tx, userId, lost, { kind: 'gone', at: clock.now(), expected: null, found: null, operationId: null });
        await recordOperatorAction(tx, { who, action: 'listings.link', target: userId, reason, detail: { products: products.length, listings: listings.length, linked, fresh, gone: marked.length, force } });
        return marked;
      });
  return {
    products: products.length,
    unread,
    linked,
    fresh,
    unnamed: { count: unnamed.length, products: unnamed.slice(0, NAMED).map(({ id: productId, name, quantity }) => ({ productId, name, quantity })) },
    ambiguous,
    unknown: parts.flatMap((part) => part.unknown),
    busy: parts.flatMap((part) => part.busy),
    gone: lost.filter(({ itemId }) => gone.includes(itemId)).map(tieOf),
    different: parts.flatMap((part) => part.different),
    unlisted: await selectUnlisted(postgres.prisma, userId, { listed: parts.flatMap(({ taken }) => taken), gone, named: NAMED }),
  };
}

async function exported({ client }: LinkDeps, caller: Caller): Promise<{ products: readonly RemoteProduct[]; unread: number; exportedAt: number | null }> {
  const outcome = await client.exportProducts(caller);
  if (outcome.outcome === 'applied') return { products: outcome.body.items, unread: outcome.body.unread.length, exportedAt: outcome.serverDate };
  caller.signal?.throwIfAborted();
  if (outcome.outcome === 'refused') throw new BrxError('BRX_REFUSED', `CardTrader refuses the export: ${outcome.message}`, { remedy: '`brx-sync users check` tells whether the token works' });
  throw new BrxError('BRX_MARKETPLACE_UNAVAILABLE', `CardTrader gave no usable export (${outcome.reason}): ${outcome.message}`, { remedy: 'try again; BRX_MARKETPLACE_EXPORT_TIMEOUT_MS is how long it may take' });
}

/** What is listed here and not in the export; an export that lacks too much of it, or that could not be read whole, is refused. */
function believable(before: readonly LinkedRow[], products: readonly RemoteProduct[], unread: number, force: boolean): LinkedRow[] {
  const inExport = new Set(products.map(({ id }) => id));
  const missing = before.filter(({ productId }) => !inExport.has(productId));
  const problem =
    unread > 0
      ? `${unread} of its products could not be read`
      : missing.length > Math.max(1, before.length * BELIEVED_LOSS)
        ? `${missing.length} of ${before.length} products that are listed are not in it`
        : undefined;
  if (problem !== undefined && !force) throw new BrxError('BRX_REFUSED', `the export is not believed: ${problem}`, { remedy: 'exports are sometimes stale, cut or empty: try again in a minute; if CardTrader’s site shows the same, say --force' });
  return missing;
}

interface TiedPart {
  readonly taken: readonly string[];
  readonly fresh: number;
  readonly unknown: readonly Tie[];
  readonly busy: readonly Tie[];
  readonly different: Linked['different'];
}

/** Some of the listings, in one transaction. */
async function tie(postgres: Postgres, userId: string, listings: readonly Listing[], known: ReadonlyMap<string, LinkedRow>, dryRun: boolean): Promise<TiedPart> {
  if (dryRun) {
    const sorted = sort(listings, await selectItems(postgres.prisma, userId, listings), known);
    return partOf(sorted, sorted.taken.filter(({ itemId }) => !known.has(itemId)).length);
  }
  return inTransaction(postgres, async (tx) => {
    await lockUsers(tx, [userId]);
    const sorted = sort(listings, await selectItems(tx, userId, listings), known);
    return partOf(sorted, await upsertListings(tx, userId, sorted.taken));
  });
}

interface Sorted {
  readonly taken: readonly Listing[];
  readonly unknown: readonly Tie[];
  readonly busy: readonly Tie[];
  readonly different: Linked['different'];
}

function sort(listings: readonly Listing[], here: ReadonlyMap<string, ItemHere>, known: ReadonlyMap<string, LinkedRow>): Sorted {
  const taken: Listing[] = [];
  const [unknown, busy]: [Tie[], Tie[]] = [[], []];
  const different: Linked['different'][number][] = [];
  for (const listing of listings) {
    const item = here.get(listing.itemId);
    if (item === undefined) unknown.push(tieOf(listing));
    else if (item.busy || item.version !== (known.get(listing.itemId)?.version ?? null)) busy.push(tieOf(listing));
    else {
      taken.push(listing);
      const available = item.onHand - item.held;
      if (item.outstanding === 0 && listing.quantity !== available) different.push({ ...tieOf(listing), remote: listing.quantity, available });
    }
  }
  return { taken, unknown, busy, different };
}

const partOf = ({ taken, ...rest }: Sorted, fresh: number): TiedPart => ({ ...rest, taken: taken.map(({ itemId }) => itemId), fresh });
const tieOf = ({ itemId, productId }: Tie): Tie => ({ itemId, productId });
