import { createClient, type CardTraderClient, type Caller, type ClientConfig, type ClientDeps, type Observation } from '../../src/marketplace/client/index.ts';
import { systemClock } from '../../src/platform/clock.ts';

/** A JWT in form, of nobody. Its parts are long enough to be told in any text. */
export const TOKEN = [{ alg: 'RS256' }, { sub: 'app-4711', name: 'Stall of Cards', iat: 1_770_000_000 }]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .concat('c2lnbmF0dXJlLW9mLW5vYm9keS1hdC1hbGw')
  .join('.');

export const caller: Caller = { userId: '0197a3c2-0000-7000-8000-000000000001', token: TOKEN };

/** A client of `url` without a rate limit, with deadlines short enough for tests; `seen` are its observations. */
export function clientOf(url: string, config: Partial<ClientConfig> = {}, deps: Partial<ClientDeps> = {}): CardTraderClient & { seen: Observation[] } {
  const seen: Observation[] = [];
  const client = createClient(
    { url: `${url}/api/v2`, connections: 4, connectTimeoutMs: 1_000, readTimeoutMs: 2_000, writeTimeoutMs: 2_000, exportTimeoutMs: 2_000, ...config },
    { clock: systemClock, gate: () => Promise.resolve(), observe: (observation) => seen.push(observation), ...deps },
  );
  return Object.assign(client, { seen });
}

/** A product as the export shows it. */
export const exported = (over: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: 101,
  name_en: 'Black Lotus',
  quantity: 3,
  description: null,
  price_cents: 6_258,
  price_currency: 'EUR',
  game_id: 1,
  category_id: 1,
  blueprint_id: 77,
  properties_hash: { condition: 'Near Mint', mtg_foil: false, mtg_language: 'en' },
  user_id: 9,
  graded: false,
  tag: null,
  user_data_field: 'shelf 4',
  bundle_size: 1,
  uploaded_images: [],
  ...over,
});

/** The same product as the answer to a write shows it. */
export const resource = (over: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: 101,
  quantity: 3,
  bundle_size: 1,
  description: null,
  graded: 0,
  game_id: 1,
  category_id: 1,
  expansion_id: 5,
  blueprint_id: 77,
  price: { cents: 6_258, currency: 'EUR' },
  properties: { condition: 'Near Mint', mtg_foil: false, mtg_language: 'en' },
  ...over,
});

export const writtenAnswer = (over: Record<string, unknown> = {}): Record<string, unknown> => ({ result: 'ok', warnings: {}, resource: resource(over) });
