import { z } from 'zod';
import { BrxError } from '../errors.ts';
import type { Random } from '../platform/random.ts';
import { makeCatalogue } from './catalogue.ts';
import type { Blueprint, Product, Properties } from './model.ts';
import type { Catalogue } from './store.ts';

/** What a simulation begins with: the cards there are, who sells, and what they list. */
export interface Stock {
  readonly catalogue: Catalogue;
  readonly sellers: readonly StockSeller[];
}
export interface StockSeller {
  readonly id: number;
  readonly name: string;
  /** Made up when left out. */
  readonly token?: string | undefined;
  readonly currency: string;
  readonly products: readonly Omit<Product, 'sellerId'>[];
}

export const FIRST_SELLER_ID = 1_001;
const FIRST_PRODUCT_ID = 300_000_001;
const BLUEPRINTS = 2_000;

/** Seeded sellers with seeded stock. No two products of a seller would merge, and each has a `user_data_field` of its own. */
export function makeStock(random: Random, { sellers, products }: { sellers: number; products: number }): Stock {
  const catalogue = makeCatalogue(random, BLUEPRINTS);
  let productId = FIRST_PRODUCT_ID;
  return {
    catalogue,
    sellers: Array.from({ length: sellers }, (_, index) => ({
      id: FIRST_SELLER_ID + index,
      name: `seller-${index + 1}`,
      currency: 'EUR',
      products: makeProducts(random, catalogue.blueprints, products).map((product) => ({ ...product, id: productId++ })),
    })),
  };
}

/** Walks the cards from a random one on; when all were taken, again with the next condition. */
function makeProducts(random: Random, blueprints: readonly Blueprint[], count: number): Omit<Product, 'id' | 'sellerId'>[] {
  const start = random.below(blueprints.length);
  return Array.from({ length: count }, (_, index) => {
    const blueprint = blueprints[(start + index) % blueprints.length];
    if (blueprint === undefined) throw new Error('no blueprints to sell');
    return {
      blueprint,
      quantity: 1 + random.below(8),
      priceCents: 5 + random.below(5_000) + 5_000 * Math.floor(index / blueprints.length),
      description: random.chance(0.2) ? 'from a smoke-free home' : null,
      properties: makeProperties(random, blueprint),
      graded: random.chance(0.05) ? null : random.chance(0.02),
      tag: random.chance(0.1) ? 'box 3' : null,
      userData: random.uuidV4(),
    };
  });
}

function makeProperties(random: Random, blueprint: Blueprint): Properties {
  return Object.fromEntries(blueprint.editable_properties.map(({ name, possible_values: values }) => [name, values[random.chance(0.6) ? 0 : random.below(values.length)] ?? false]));
}

const id = z.int().min(1);
const propertyValue = z.union([z.string(), z.boolean()]);
const FILE = z.strictObject({
  /** In the shape of `GET /blueprints/export`; left out: the made-up catalogue. */
  blueprints: z
    .array(
      z.object({
        id,
        name: z.string(),
        version: z.string().nullable().default(null),
        game_id: id.default(1),
        category_id: id.default(1),
        expansion_id: id.nullable().default(null),
        image_url: z.string().default('/fallbacks/card.png'),
        editable_properties: z.array(z.object({ name: z.string(), type: z.enum(['string', 'boolean']), possible_values: z.array(propertyValue), default_value: z.string() })),
        fixed_properties: z.record(z.string(), z.string()).default({}),
        scryfall_id: z.string().nullable().default(null),
        card_market_ids: z.array(id).default([]),
        tcg_player_id: id.nullable().default(null),
      }),
    )
    .optional(),
  sellers: z.array(
    z.strictObject({
      id,
      name: z.string().min(1).optional(),
      token: z.string().min(8).optional(),
      currency: z.string().length(3).default('EUR'),
      products: z.array(
        z.strictObject({
          id,
          blueprint_id: id,
          quantity: z.int().min(0),
          price_cents: z.int().min(1),
          description: z.string().nullable().default(null),
          properties: z.record(z.string(), propertyValue).default({}),
          graded: z.boolean().nullable().default(false),
          tag: z.string().nullable().default(null),
          user_data_field: z.string().nullable().default(null),
        }),
      ),
    }),
  ),
});

/** Reads a stock file's text. Properties left out take the card's defaults. Throws BRX_BAD_FILE with every problem. */
export function readStock(text: string, random: Random): Stock {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new BrxError('BRX_BAD_FILE', 'the stock file is no JSON', { cause: error });
  }
  const result = FILE.safeParse(parsed);
  if (!result.success) throw new BrxError('BRX_BAD_FILE', `the stock file cannot be used: ${result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`);
  const { blueprints, sellers } = result.data;
  const made = makeCatalogue(random, BLUEPRINTS);
  const catalogue: Catalogue = blueprints === undefined ? made : { ...made, blueprints };
  const byId = new Map(catalogue.blueprints.map((blueprint) => [blueprint.id, blueprint]));
  const seen = new Set<number>();
  return {
    catalogue,
    sellers: sellers.map((seller) => ({
      ...seller,
      name: seller.name ?? `seller-${seller.id}`,
      products: seller.products
        .map(({ blueprint_id: blueprintId, price_cents: priceCents, user_data_field: userData, ...product }) => {
          const blueprint = byId.get(blueprintId);
          if (blueprint === undefined) throw new BrxError('BRX_BAD_FILE', `product ${product.id} is of blueprint ${blueprintId}, which there is not`);
          if (seen.has(product.id)) throw new BrxError('BRX_BAD_FILE', `product ${product.id} is there twice`);
          seen.add(product.id);
          return { ...product, blueprint, priceCents, userData, properties: { ...defaults(blueprint), ...product.properties } };
        })
        .sort((a, b) => a.id - b.id),
    })),
  };
}

export function defaults(blueprint: Blueprint): Properties {
  return Object.fromEntries(blueprint.editable_properties.map(({ name, type, default_value: value }) => [name, type === 'boolean' ? value === 'true' : value]));
}
