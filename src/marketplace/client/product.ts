import { z } from 'zod';
import { readNotices, isObject, type Notice } from './error-body.ts';
import { copies, count, id, optionalFlag, optionalId, optionalInteger, optionalText, properties, read, userDataField, type PropertyValue, type Read } from './lenient.ts';

/**
 * A product as CardTrader has it. Two shapes arrive, the export's (`price_cents`, `properties_hash`) and the resource's of a write (`price{}`,
 * `properties`); both become this.
 */
export interface RemoteProduct {
  readonly id: number;
  readonly blueprintId: number;
  readonly quantity: number;
  readonly priceCents: number;
  readonly currency: string | null;
  /** null: empty. undefined: the answer does not tell, as that of a write may not. */
  readonly userDataField: string | null | undefined;
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly name: string | null;
  readonly description: string | null;
  readonly graded: boolean | null;
  readonly tag: string | null;
  readonly bundleSize: number | null;
  readonly expansionId: number | null;
  readonly gameId: number | null;
  readonly categoryId: number | null;
  /** CardTrader's id of the seller. */
  readonly sellerId: number | null;
}

const PRICE = z.object({ cents: count, currency: optionalText });

export const ProductSchema = z
  .object({
    id,
    blueprint_id: id,
    quantity: copies,
    price_cents: count.optional(),
    price_currency: optionalText,
    price: PRICE.optional().catch(undefined),
    user_data_field: userDataField,
    properties_hash: properties.optional(),
    properties: properties.optional(),
    name_en: optionalText,
    description: optionalText,
    graded: optionalFlag,
    tag: optionalText,
    bundle_size: optionalInteger,
    expansion_id: optionalId,
    expansion: z.object({ id: optionalId }).nullable().catch(null),
    game_id: optionalId,
    category_id: optionalId,
    user_id: optionalId,
  })
  .transform((wire, context): RemoteProduct => {
    const priceCents = wire.price_cents ?? wire.price?.cents;
    if (priceCents === undefined) {
      context.addIssue({ code: 'custom', path: ['price_cents'], message: 'there is no price' });
      return z.NEVER;
    }
    return {
      id: wire.id,
      blueprintId: wire.blueprint_id,
      quantity: wire.quantity,
      priceCents,
      currency: wire.price_currency ?? wire.price?.currency ?? null,
      userDataField: wire.user_data_field,
      properties: wire.properties_hash ?? wire.properties ?? {},
      name: wire.name_en,
      description: wire.description,
      graded: wire.graded,
      tag: wire.tag,
      bundleSize: wire.bundle_size,
      expansionId: wire.expansion_id ?? wire.expansion?.id ?? null,
      gameId: wire.game_id,
      categoryId: wire.category_id,
      sellerId: wire.user_id,
    };
  });

/** The answer to a write of one product. */
export interface Written {
  readonly product: RemoteProduct;
  readonly warnings: readonly Notice[];
}

/** `{result, warnings, resource}`. An answer about another product than `productId` is not the answer to this request. */
export function readWritten(value: unknown, productId?: number): Read<Written> {
  const head = readResult(value);
  if (!head.ok) return head;
  const product = read(ProductSchema, head.value.resource);
  if (!product.ok) return { ok: false, problem: `resource: ${product.problem}` };
  if (productId !== undefined && product.value.id !== productId) return { ok: false, problem: `speaks of product ${product.value.id}` };
  return { ok: true, value: { product: product.value, warnings: head.value.warnings } };
}

/** The same for a deletion, which need not send what is gone. */
export function readDeleted(value: unknown, productId: number): Read<{ warnings: readonly Notice[] }> {
  const head = readResult(value);
  if (!head.ok) return head;
  const gone = z.object({ id }).safeParse(head.value.resource);
  if (gone.success && gone.data.id !== productId) return { ok: false, problem: `speaks of product ${gone.data.id}` };
  return { ok: true, value: { warnings: head.value.warnings } };
}

function readResult(value: unknown): Read<{ resource: unknown; warnings: readonly Notice[] }> {
  if (!isObject(value)) return { ok: false, problem: 'is not an object' };
  const { result, resource, warnings } = value;
  if (result === undefined && resource === undefined) return { ok: false, problem: 'has neither result nor resource' };
  if (result !== undefined && result !== 'ok' && result !== 'warning') return { ok: false, problem: 'its result is neither ok nor warning' };
  return { ok: true, value: { resource, warnings: readNotices(warnings) } };
}

/** What may be written. Left out: stays as it is. */
export interface ProductChange {
  readonly quantity?: number;
  readonly priceCents?: number;
  readonly userDataField?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, PropertyValue>>;
  readonly graded?: boolean;
}

export interface NewProduct extends ProductChange {
  readonly blueprintId: number;
  readonly quantity: number;
  readonly priceCents: number;
}

/** Always strict: otherwise a wrong condition is listed as Near Mint, with a warning nobody sees (cardtrader.md section 5). */
export function wireOf(product: ProductChange & { readonly id?: number; readonly blueprintId?: number }): Record<string, unknown> {
  const { id: productId, blueprintId, quantity, priceCents, userDataField: text, description, properties: values, graded } = product;
  return {
    ...(productId !== undefined && { id: productId }),
    ...(blueprintId !== undefined && { blueprint_id: blueprintId }),
    ...(quantity !== undefined && { quantity }),
    ...(priceCents !== undefined && { price: priceOf(priceCents) }),
    ...(text !== undefined && { user_data_field: text }),
    ...(description !== undefined && { description }),
    ...(values !== undefined && { properties: values }),
    ...(graded !== undefined && { graded }),
    error_mode: 'strict',
  };
}

/**
 * Prices go in as decimals in the seller's currency. Dividing an integer by 100 gives the double nearest to the decimal, and JSON writes a
 * double as the shortest decimal that reads back as it: 6258 becomes 62.58, never 62.580000000000005.
 */
export function priceOf(cents: number): number {
  return cents / 100;
}
