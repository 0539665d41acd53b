import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { processEnvironment, readConfig } from '../../src/config.ts';
import { createKafka, createProducer } from '../../src/platform/kafka/index.ts';
import { createLogger } from '../../src/platform/log.ts';

/** Reads what is not published from the left edge of its index, sends it with our producer, marks it. */
const config = readConfig(processEnvironment());
const producer = createProducer(createKafka(config.kafka, createLogger(config.log)));
const client = new pg.Client({ connectionString: config.postgres.url });
await client.connect();
let stopped = false;
process.once('SIGTERM', () => {
  stopped = true;
});
while (!stopped) {
  const { rows } = await client.query<{ id: string; topic: string; key: Buffer; value: Buffer }>({
    name: 'read',
    text: 'SELECT id, topic, record_key AS key, record_value AS value FROM plain_outbox WHERE published_at IS NULL ORDER BY id LIMIT 1000',
  });
  if (rows.length === 0) {
    await delay(5);
    continue;
  }
  await producer.sendBatch(rows.map(({ topic, key, value }) => ({ topic, key, value })));
  await client.query({ name: 'mark', text: 'UPDATE plain_outbox SET published_at = now() WHERE id = ANY($1::bigint[])', values: [rows.map(({ id }) => id)] });
}
await producer.disconnect();
await client.end();
