import type { Guesses } from './guesses.ts';
import type { Expansion, Product, Seller } from './model.ts';

/** The two shapes of a product, which differ more than they should, and the search's third. */
export interface ShapeContext {
  readonly seller: Seller;
  readonly guesses: Guesses;
  readonly expansion: Expansion | undefined;
}

/** `GET /products/export`: `price_cents`, `properties_hash`, `graded` as a boolean, `user_data_field`. */
export function exportShape(product: Product, { seller, guesses, expansion }: ShapeContext): object {
  const { blueprint } = product;
  return {
    id: product.id,
    name_en: blueprint.name,
    quantity: product.quantity,
    description: product.description,
    price_cents: product.priceCents,
    price_currency: seller.currency,
    game_id: blueprint.game_id,
    category_id: blueprint.category_id,
    blueprint_id: blueprint.id,
    properties_hash: { ...blueprint.fixed_properties, ...product.properties },
    user_id: seller.id,
    graded: product.graded,
    tag: product.tag,
    user_data_field: product.userData,
    bundle_size: 1,
    bundled_quantity: product.quantity,
    uploaded_images: [],
    ...(guesses.exportExpansion && { expansion: expansion === undefined ? null : { id: expansion.id, code: expansion.code, name_en: expansion.name } }),
  };
}

/** Answers to writes: `price{}`, `properties`, `graded` as 0 or 1, no `user_data_field`. */
export function resourceShape(product: Product, { seller, guesses }: ShapeContext): object {
  const { blueprint } = product;
  return {
    id: product.id,
    quantity: product.quantity,
    bundle_size: 1,
    description: product.description,
    graded: product.graded === true ? 1 : 0,
    game_id: blueprint.game_id,
    category_id: blueprint.category_id,
    expansion_id: blueprint.expansion_id,
    blueprint_id: blueprint.id,
    price: money(product.priceCents, seller.currency),
    properties: { ...blueprint.fixed_properties, ...product.properties },
    ...(guesses.resourceUserData && { user_data_field: product.userData }),
  };
}

/** `GET /marketplace/products`. */
export function marketplaceShape(product: Product, { seller, expansion }: ShapeContext): object {
  const { blueprint } = product;
  return {
    id: product.id,
    blueprint_id: blueprint.id,
    name_en: blueprint.name,
    quantity: product.quantity,
    price: { ...money(product.priceCents, seller.currency), currency_symbol: seller.currency === 'EUR' ? '€' : seller.currency, formatted: formatted(product.priceCents, seller.currency) },
    price_cents: product.priceCents,
    price_currency: seller.currency,
    description: product.description,
    properties_hash: { ...blueprint.fixed_properties, ...product.properties },
    expansion: expansion === undefined ? null : { id: expansion.id, code: expansion.code, name_en: expansion.name },
    user: { id: seller.id, username: seller.name, can_sell_via_hub: true, country_code: 'IT', user_type: 'normal', max_sellable_in24h_quantity: null, too_many_request_for_cancel_as_seller: false, can_sell_sealed_with_ct_zero: false },
    graded: product.graded ?? false,
    on_vacation: false,
    bundle_size: 1,
  };
}

export const money = (cents: number, currency: string): { cents: number; currency: string } => ({ cents, currency });
export const formatted = (cents: number, currency: string): string => `${currency === 'EUR' ? '€' : `${currency} `}${(cents / 100).toFixed(2)}`;
/** ISO 8601 with milliseconds, as the documentation's samples. */
export const timestamp = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
