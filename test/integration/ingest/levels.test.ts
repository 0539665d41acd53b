import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InventoryLevel } from '../../../src/contract/index.ts';
import { createCodec, createRegistry } from '../../../src/platform/kafka/index.ts';
import { history, line, purchase, randomUuid } from '../../support/events.ts';
import { createIngestWorld, itemOf, type IngestWorld } from '../../support/ingest.ts';
import { stackUrls } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: what was sold or called off on CardTrader is told to the upstream once, with the stock right after it; what the upstream did itself is not. */
let world: IngestWorld;

beforeAll(async () => {
  world = await createIngestWorld();
});
afterAll(() => world.close());

async function levels(): Promise<InventoryLevel[]> {
  await until('an empty outbox', async () => (await world.rows('SELECT FROM outbox LIMIT 1')).length === 0);
  const codec = createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined }));
  const found: InventoryLevel[] = [];
  for (const { value } of await world.topics.readAll(world.topics.levels)) {
    const id = value!.readInt32BE(1);
    await codec.prepare(id);
    found.push(codec.reader(id)?.read(value!) as InventoryLevel);
  }
  return found;
}

test('sale and cancellation, each once; a replay adds none', async () => {
  const [user, item] = [randomUuid(), randomUuid()];
  const there = { source: 'cardtrader' };
  const [set, sold, shop, back, more] = history(user, item, ['SET', 5], ['ADJUST', -2, there], ['ADJUST', 1], ['ADJUST', 1, there], ['ADJUST', -9, there]);
  const reserved = purchase({ user_id: user, lines: [line(item, 3)] });
  let worker = await world.start();
  await world.sendEvents(set!, reserved, sold!, shop!, back!, sold!, more!);
  await world.processed();
  const told = await levels();
  expect(told.map(({ on_hand, held, available, cause, cause_event_id }) => ({ on_hand, held, available, cause, cause_event_id }))).toEqual([
    { on_hand: 3, held: 3, available: 0, cause: 'remote_sale', cause_event_id: sold!.event_id },
    { on_hand: 5, held: 3, available: 2, cause: 'remote_cancel', cause_event_id: back!.event_id },
    { on_hand: 0, held: 3, available: -3, cause: 'remote_sale', cause_event_id: more!.event_id },
  ]);
  expect(told.every((level) => level.user_id === user && level.item_id === item)).toBe(true);
  expect(await itemOf(world.pool, user, item)).toMatchObject({ on_hand: 0, flags: 6 });
  expect(await world.rows("SELECT delta, quantity, outcome FROM stock_ledger WHERE event_id = $1", more!.event_id)).toEqual([{ delta: -5, quantity: -9, outcome: 'a' }]);
  expect(await world.rows('SELECT FROM dead_letters')).toEqual([]);

  await worker.stop();
  await world.rewind();
  worker = await world.start();
  await world.processed();
  expect(await levels()).toEqual(told);
});
