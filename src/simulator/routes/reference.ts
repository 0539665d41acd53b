import { failure, json, missingParameter, notFound, type Answer } from '../answers.ts';
import type { Product } from '../model.ts';
import { marketplaceShape } from '../serialize.ts';
import { read, type Call, type Route } from './call.ts';

/** The app, the catalogue, and everyone's offers. */
export const REFERENCE_ROUTES: Readonly<Record<string, Route>> = {
  'GET info': read(info),
  'GET games': read(({ world }) => json(200, world.guesses.gamesShape === 'wrapped' ? { array: world.store.games } : world.store.games)),
  'GET expansions': read(({ world }) => json(200, [...world.store.expansions.values()])),
  'GET expansions/export': read(ownExpansions),
  'GET blueprints/export': read(blueprints),
  'GET marketplace/products': read(search, 'marketplace'),
};

const CHEAPEST = 25;

function info({ seller, world }: Call): Answer {
  return json(200, { id: seller.appId, name: `${seller.name} app`, shared_secret: seller.sharedSecret, ...(world.guesses.infoUserId && { user_id: seller.id }) });
}

/** Expansions in which the seller has products. */
function ownExpansions({ world, seller }: Call): Answer {
  const ids = new Set(world.store.productsOf(seller.id).map((product) => product.blueprint.expansion_id));
  return json(200, [...world.store.expansions.values()].filter((expansion) => ids.has(expansion.id)));
}

/** Without an expansion that is known it is a 404, though the documentation calls the parameter optional. */
function blueprints({ world, query, requestId }: Call): Answer {
  const expansionId = Number(query.get('expansion_id'));
  if (!world.store.expansions.has(expansionId)) return notFound('Expansion', requestId);
  return json(200, [...world.store.blueprints.values()].filter((blueprint) => blueprint.expansion_id === expansionId));
}

/** Blueprint id → the 25 cheapest offers of all sellers. */
function search({ world, query, requestId }: Call): Answer {
  if (query.has('blueprint_id[]')) return failure(400, 'bad_request', 'blueprint_id must be one number', requestId);
  const [blueprintId, expansionId] = [query.get('blueprint_id'), query.get('expansion_id')];
  if (blueprintId === null && expansionId === null) return missingParameter('expansion_id or blueprint_id', requestId);
  const found = blueprintId === null ? [...world.store.blueprints.values()].filter((blueprint) => blueprint.expansion_id === Number(expansionId)) : [world.store.blueprints.get(Number(blueprintId))];
  const entries = found.flatMap((blueprint) => {
    if (blueprint === undefined) return [];
    const offers = world.store.offers(blueprint.id).filter((product) => product.quantity > 0 && wanted(product, query));
    const cheapest = offers.sort((a, b) => a.priceCents - b.priceCents || a.id - b.id).slice(0, CHEAPEST);
    const shapes = cheapest.flatMap((product) => {
      const seller = world.store.seller(product.sellerId);
      return seller === undefined ? [] : [marketplaceShape(product, { seller, guesses: world.guesses, expansion: world.store.expansions.get(blueprint.expansion_id ?? 0) })];
    });
    return shapes.length === 0 ? [] : [[String(blueprint.id), shapes] as const];
  });
  return json(200, Object.fromEntries(entries));
}

function wanted({ properties }: Product, query: URLSearchParams): boolean {
  const [foil, language] = [query.get('foil'), query.get('language')];
  return Object.entries(properties).every(([name, value]) => (foil === null || !name.endsWith('_foil') || String(value) === foil) && (language === null || !name.endsWith('_language') || value === language));
}
