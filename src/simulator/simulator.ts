import { systemClock, type Clock } from '../platform/clock.ts';
import { createRandom } from '../platform/random.ts';
import { populate } from './accounts.ts';
import { createControl, type Control } from './control.ts';
import { createControlHandler } from './control-http.ts';
import type { FaultPlan } from './faults.ts';
import { readGuesses, type Guesses } from './guesses.ts';
import { createHttp, listen } from './http.ts';
import type { Limits } from './limits.ts';
import type { OrderObserver } from './orders.ts';
import { BASE_PATH } from './routes/table.ts';
import { makeStock, type Stock } from './stock.ts';
import { createWorld, type World } from './world.ts';

export interface SimulatorOptions {
  /** On 127.0.0.1; 0, the default, picks a free one. */
  readonly port?: number | undefined;
  /** Same seed and same requests in the same order: same ids, same stock, same faults. 1. */
  readonly seed?: number | undefined;
  /** What there is to sell, or how much of it to make up: one seller with 10 products. */
  readonly stock?: Stock | { readonly sellers: number; readonly products: number } | undefined;
  readonly guesses?: Partial<Guesses> | undefined;
  /** Chances by kind; none. */
  readonly faults?: FaultPlan | undefined;
  /** Other limits than the documented ones: for a server stricter than it says. */
  readonly limits?: Partial<Limits> | undefined;
  /** Time an answer takes, ms; 0. */
  readonly latencyMs?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly onOrder?: OrderObserver | undefined;
  /** Told at once of what must not happen; `close` throws it too. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

export interface Simulator {
  /** `http://127.0.0.1:<port>`; the control side is below `/_simulator`. */
  readonly url: string;
  /** `<url>/api/v2`: what a client takes for `https://api.cardtrader.com/api/v2`. */
  readonly apiUrl: string;
  readonly control: Control;
  close(): Promise<void>;
}

/** Starts a CardTrader stand-in in this process. Throws BRX_USAGE for a guess or fault there is not, or a port that is taken. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { port = 0, seed = 1, clock = systemClock, latencyMs = 0 } = options;
  const guesses = readGuesses(options.guesses);
  const given = options.stock ?? { sellers: 1, products: 10 };
  const stock = 'catalogue' in given ? given : makeStock(createRandom(seed), given);
  const orderObservers = new Set<OrderObserver>(options.onOrder === undefined ? [] : [options.onOrder]);
  const begin = (): World => {
    const made = createWorld({ seed, clock, guesses, catalogue: stock.catalogue, plan: options.faults ?? {}, limits: options.limits ?? {}, orderObservers, onFailure: options.onFailure ?? (() => undefined) });
    populate(made, stock);
    return made;
  };
  let world = begin();
  const connections = { open: 0, most: 0 };
  const control = createControl({
    world: () => world,
    connections: () => ({ ...connections }),
    orderObservers,
    async reset() {
      const old = world;
      world = begin();
      await old.background.stop();
    },
  });
  const server = createHttp({ world: () => world, control: createControlHandler(control), latencyMs });
  server.on('connection', (socket) => {
    connections.open += 1;
    connections.most = Math.max(connections.most, connections.open);
    socket.once('close', () => (connections.open -= 1));
  });
  const url = `http://127.0.0.1:${await listen(server, port)}`;
  return {
    url,
    apiUrl: url + BASE_PATH,
    control,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await world.background.stop();
    },
  };
}
