import { createInterface } from 'node:readline';
import { randomUuid } from '../../src/platform/ids.ts';
import { startSimulator } from '../../src/simulator/index.ts';
import type { Shop, SimulatorReport } from './world.ts';

/** CardTrader's stand-in in a process of its own, the same for all contestants. Says where it is and what it sells; asked, what became of it. */
const [shops = 0, items = 0, copies = 0, latencyMs = 0] = process.argv.slice(2).map(Number);
const simulator = await startSimulator({ stock: { sellers: 0, products: 0 }, latencyMs });
const { control } = simulator;

const made = Array.from({ length: shops }, (): Shop => {
  const { id, token } = control.addSeller();
  return {
    userId: randomUuid(),
    sellerId: id,
    token,
    items: Array.from({ length: items }, () => {
      const itemId = randomUuid();
      const product = control.addProduct(id, { quantity: copies, userData: itemId });
      return { itemId, productId: product.id, blueprintId: product.blueprint.id };
    }),
  };
});
process.stdout.write(`ready ${JSON.stringify({ apiUrl: simulator.apiUrl, shops: made })}\n`);

const lines = createInterface({ input: process.stdin });
lines.on('line', () => {
  const { requests, throttled } = control.requests();
  const quantities = made.flatMap(({ sellerId }) => control.products(sellerId).map(({ id, quantity }) => [id, quantity] as const));
  const report: SimulatorReport = { requests, throttled, repeated: control.repeated().length, quantities };
  process.stdout.write(`told ${JSON.stringify(report)}\n`);
});
process.once('SIGTERM', () => void simulator.close().finally(() => process.exit(0)));
