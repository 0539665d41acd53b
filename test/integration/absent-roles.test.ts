import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { consumedTopics } from '../../src/operations/groups/index.ts';
import { line, purchase } from '../support/events.ts';
import { createMarketplaceWorld, type MarketplaceWorld } from '../support/marketplace-world.ts';
import { httpUrl } from '../support/orders-world.ts';

/** Protects: alerts fire where a role runs nowhere. What only the role itself measured would be no series then, or 0 for ever. */
let world: MarketplaceWorld;

beforeAll(async () => {
  world = await createMarketplaceWorld();
});
afterAll(() => world.close());

test('without a dispatcher others tell how long operations have been due; without a consumer, which partitions there are to be read', async () => {
  const others = await world.start(['ingest', 'saga', 'relay']);
  const { user, items } = await world.seller(5);
  const sale = purchase({ user_id: user, lines: [line(items[0]!.itemId, 1)] });
  await world.send(sale);
  await world.reached(['CALLING'], sale);
  await others.stop();
  await world.rows("UPDATE marketplace_operations SET due_at = now() - interval '10 minutes' WHERE purchase_id = $1", sale.purchase_id);

  const http = await world.start(['http'], { BRX_HTTP_PORT: '0' });
  const lines = (await (await fetch(`${httpUrl(http)}/metrics`)).text()).split('\n');
  const of = (metric: string): number => Number(lines.find((each) => each.startsWith(`${metric} `))?.slice(metric.length));
  expect(of('brx_operations_oldest_due_age_seconds')).toBeGreaterThan(599);
  expect(of('brx_operations_open{state="pending"}')).toBe(1);
  const topics = consumedTopics(readConfig(world.environment));
  expect(topics).toHaveLength(3);
  for (const { topic, group } of topics) expect(of(`brx_consumer_topic_partitions{topic="${topic}",group="${group}"}`)).toBe(12);
  await http.stop();
});
