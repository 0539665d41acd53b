import { readUserDataField, type RemoteProduct } from '../client/index.ts';
import { snapshotOf, type Listing } from './listing.ts';

/** What an export says about our items. Pure. */
export interface Matched {
  readonly listings: readonly Listing[];
  /** Products whose `user_data_field` names no item. */
  readonly unnamed: readonly RemoteProduct[];
  /** Items that several products name: none of them is taken, because nothing says which one it is. */
  readonly ambiguous: readonly { readonly itemId: string; readonly productIds: readonly number[] }[];
}

/** Ties products to items by the uuid in their `user_data_field`. `confirmedAt`: CardTrader's clock when the export was made. */
export function matchProducts(userId: string, products: readonly RemoteProduct[], confirmedAt: number): Matched {
  const byItem = new Map<string, RemoteProduct[]>();
  const unnamed: RemoteProduct[] = [];
  for (const product of products) {
    const { itemId } = readUserDataField(product.userDataField);
    if (itemId === null) unnamed.push(product);
    else byItem.set(itemId, [...(byItem.get(itemId) ?? []), product]);
  }
  const listings: Listing[] = [];
  const ambiguous: { itemId: string; productIds: number[] }[] = [];
  for (const [itemId, found] of byItem) {
    const [product] = found;
    if (product === undefined || found.length > 1) ambiguous.push({ itemId, productIds: found.map(({ id }) => id) });
    else listings.push(listingOf(userId, itemId, product, confirmedAt));
  }
  return { listings, unnamed, ambiguous };
}

function listingOf(userId: string, itemId: string, product: RemoteProduct, confirmedAt: number): Listing {
  const { ownText, operationId } = readUserDataField(product.userDataField);
  const { id: productId, blueprintId, quantity, priceCents, currency } = product;
  return { userId, itemId, productId, blueprintId, quantity, priceCents, currency, confirmedAt, operationId, gone: false, product: snapshotOf(product, ownText), soldLines: [], mismatch: null, unaccounted: 0 };
}
