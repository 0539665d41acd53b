import type { Random } from '../platform/random.ts';
import type { Seller } from './model.ts';
import type { Stock, StockSeller } from './stock.ts';
import type { World } from './world.ts';

/** Looks like CardTrader's: an RS256 JWT, of which nobody here checks the signature. */
export function newToken(random: Random, seller: { readonly id: number; readonly name: string }, now: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part({ iss: 'cardtrader-simulator', sub: `app:${seller.id}`, name: seller.name, iat: Math.floor(now / 1_000) })}.${random.bytes(64).toString('base64url')}`;
}

export function addSeller(world: World, { id, name, currency, token, products }: StockSeller): Seller {
  const seller: Seller = { id, name, currency, appId: id + 5_000, sharedSecret: world.random.bytes(32).toString('hex') };
  world.store.addSeller(seller, token ?? newToken(world.random, seller, world.clock.now()));
  for (const product of products) world.store.save({ ...product, sellerId: id }, world.clock.now());
  return seller;
}

export function populate(world: World, stock: Stock): void {
  for (const seller of stock.sellers) addSeller(world, seller);
}
