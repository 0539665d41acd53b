import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCodec, createKafka, createRegistry } from '../../../src/platform/kafka/index.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import { goTo, pageForEachTest, picture, says, serveConsole, type ConsoleServer } from '../../support/console.ts';
import { change } from '../../support/events.ts';
import { SELF } from '../../support/http.ts';
import { createIngestWorld, itemOf, type IngestWorld, type RunningIngest } from '../../support/ingest.ts';
import { startPrivateKafka, stackUrls, type PrivateService } from '../../support/stack.ts';
import { until } from '../../support/wait.ts';

/** Protects: with the broker dead the console says so, says what it means, shows everything else as it was, and is well again by itself. A broker of its own, and the ingest role as it runs. */
let page: Page;
let broker: PrivateService;
let world: IngestWorld;
let worker: RunningIngest;
let server: ConsoleServer;

beforeAll(async () => {
  broker = await startPrivateKafka();
  world = await createIngestWorld({ brokers: broker.url });
  worker = await world.start();
  const { prefix, groupId, events } = world.topics;
  server = await serveConsole({
    self: { ...SELF, roles: ['http', 'ingest'], consumers: [worker.ingest] },
    over: {
      database: world.database,
      topicPrefix: prefix,
      groupId,
      replays: (postgres) => [
        {
          postgres,
          kafka: createKafka({ brokers: [broker.url], clientId: 'console', ssl: false, sasl: undefined, topicPrefix: prefix }, silentLogger, { retries: 1 }),
          codec: createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined })),
          clock: systemClock,
          logger: silentLogger,
          horizonMs: 30 * 86_400_000,
          group: { role: 'ingest', id: groupId, topic: events },
        },
      ],
    },
  });
}, 180_000);
afterAll(async () => {
  await server.close();
  await world.close();
  await broker.remove();
});
pageForEachTest((opened) => (page = opened));

test('killed and started again, while somebody looks', { timeout: 240_000 }, async () => {
  const before = change();
  await world.sendEvents(before);
  await world.processed();
  await goTo(page, server.server);
  await says(page, /Kafka good/);
  await says(page, /Events good/);
  await says(page, 'nobody is parked');

  await broker.kill();
  await until('it is silent for longer than a moment', () => (worker.ingest.reading().brokerSeconds ?? 0) > 20);
  await says(page, /Kafka wrong/);
  await says(page, /has not answered for \d+ s/);
  await says(page, 'nothing is lost: events wait at their producers');
  await says(page, 'what waits is not known since Kafka answered last');
  expect(await page.evaluate('document.querySelector(".card h2").textContent')).toContain('Kafka'); // what is wrong comes first
  await says(page, 'nobody is parked'); // what needs no broker is still told
  await picture(page, 'health-broker-down');
  await goTo(page, server.server, `#/users/${before.user_id}/items/${before.item_id}`);
  await says(page, `${before.quantity} available`);
  await goTo(page, server.server, '#/replays/plan?group=ingest&to=earliest');
  await says(page, 'Kafka does not answer');

  await broker.start();
  await goTo(page, server.server);
  await until('it answers', () => (worker.ingest.reading().brokerSeconds ?? 99) < 5, { timeoutMs: 120_000 });
  await says(page, /Kafka good/); // by itself
  const after = change();
  await world.sendEvents(after);
  await world.processed();
  expect(await itemOf(world.pool, after.user_id, after.item_id)).toMatchObject({ on_hand: after.quantity });
});
