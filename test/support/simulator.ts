import { expect, onTestFinished } from 'vitest';
import { startSimulator, type Product, type Simulator, type SimulatorOptions } from '../../src/simulator/index.ts';
import { fakeClock, type FakeClock } from './fake-clock.ts';

export interface Reply {
  status: number;
  /** Parsed where it is JSON, the text where it is not. */
  body: unknown;
  headers: Headers;
  /** The body as what the test knows it to be: the answer to a write, or a list. */
  resource: View;
  rows: View[];
}

/** The fields tests look at, by whichever shape has them. */
export interface View {
  id: number;
  quantity: number;
  blueprint_id: number;
  price: { cents: number };
  price_cents: number;
  properties: Record<string, unknown>;
  user_data_field: string | null;
  expansion: unknown;
  graded: unknown;
  state: string;
  product_id: number | null;
  seller_price: unknown;
  hub_pending_order_id: number | null;
  order_items: View[];
}

export interface OpenSimulator extends Simulator {
  clock: FakeClock;
  sellerId: number;
  token: string;
  /** One request of the seller, or of whoever has `token`. Rejects when the connection breaks. */
  api: (method: string, path: string, body?: unknown, options?: { token?: string; headers?: Record<string, string>; signal?: AbortSignal }) => Promise<Reply>;
  /** The same to the control side. */
  hand: (method: string, path: string, body?: unknown) => Promise<Reply>;
  /** The seller's first product, as it is now. */
  first: () => Product;
}

/** A simulator on a clock that stands still, with one seller of ten products, closed when the test ends. */
export async function openSimulator(options: SimulatorOptions = {}): Promise<OpenSimulator> {
  const clock = fakeClock();
  const simulator = await startSimulator({ clock, ...options });
  onTestFinished(() => simulator.close());
  const [seller] = simulator.control.sellers();
  if (seller?.token === undefined || seller.token === null) throw new Error('no seller');
  const { id: sellerId, token } = seller;
  const [firstProduct] = simulator.control.products(sellerId);
  return {
    ...simulator,
    clock,
    sellerId,
    token,
    api: (method, path, body, { token: other = token, headers = {}, signal } = {}) => request(`${simulator.apiUrl}${path}`, method, body, { authorization: `Bearer ${other}`, ...headers }, signal),
    hand: (method, path, body) => request(`${simulator.url}/_simulator${path}`, method, body, {}),
    first() {
      const product = simulator.control.product(firstProduct?.id ?? 0);
      if (product === undefined) throw new Error('the first product is gone');
      return product;
    },
  };
}

async function request(url: string, method: string, body: unknown, headers: Record<string, string>, signal?: AbortSignal): Promise<Reply> {
  const response = await fetch(url, { method, headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }), ...(signal !== undefined && { signal }) });
  const text = await response.text();
  const parsed: unknown = response.headers.get('content-type')?.includes('json') === true ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, body: parsed, resource: (parsed as { resource: View } | null)?.resource as View, rows: parsed as View[] };
}

/** A card of the catalogue by what is special about it. */
export function card(simulator: Simulator, kind: 'foil-only' | 'both finishes' | 'no expansion') {
  const found = simulator.control.blueprints().find((blueprint) => {
    const foil = blueprint.editable_properties.find((property) => property.name === 'mtg_foil');
    if (kind === 'no expansion') return blueprint.expansion_id === null;
    return foil !== undefined && (kind === 'foil-only' ? foil.possible_values.length === 1 && foil.possible_values[0] === true : foil.possible_values.length === 2);
  });
  if (found === undefined) throw new Error(`the catalogue has no card: ${kind}`);
  return found;
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Any text, any number: where a test does not care which. */
export const anyText = expect.any(String) as string;
export const anyNumber = expect.any(Number) as number;
