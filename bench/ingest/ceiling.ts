import pg from 'pg';
import { processEnvironment, readConfig } from '../../src/config.ts';
import { TOPICS, topicName, type InventoryChanged } from '../../src/contract/index.ts';
import { StockFold } from '../../src/inventory/index.ts';
import { createCodec, createKafka, createRegistry } from '../../src/platform/kafka/index.ts';
import { createLogger } from '../../src/platform/log.ts';
import { readRecords } from './read.ts';
import { upsertChunk } from './upsert.ts';

/**
 * The ceiling: the same rows, written set-based from events that are already decoded, folded and chunked in
 * memory. No Kafka, no Prisma, no look-ups, no locks, no BEGIN and COMMIT: bare pg, one autocommit statement a chunk, on
 * `argv[3]` connections. What BRX Sync does beyond it is what its promises cost.
 *
 * `argv[2]`: from which offsets, JSON partition → offset. Prints `ready <events>`, waits for a line on stdin, prints `done <events> <seconds>`.
 */
const config = readConfig(processEnvironment());
const from = new Map(Object.entries(JSON.parse(process.argv[2] ?? '{}') as Record<string, string>).map(([partition, offset]) => [Number(partition), BigInt(offset)]));
const connections = Number(process.argv[3]);
const kafka = createKafka(config.kafka, createLogger(config.log));
const topic = topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents);

const codec = createCodec(createRegistry(config.registry));
const partitions = new Map<number, InventoryChanged[]>();
const state = await readRecords(kafka, topic, async ({ partition, offset, value }) => {
  if (value === null) return;
  const id = value.readInt32BE(1);
  await codec.prepare(id);
  const event = codec.reader(id)?.read(value) as InventoryChanged;
  const events = partitions.get(partition) ?? [];
  if (offset >= (from.get(partition) ?? 0n)) events.push(event);
  partitions.set(partition, events);
});

const clients = await Promise.all(
  Array.from({ length: connections }, async () => {
    const client = new pg.Client({ connectionString: config.postgres.url });
    await client.connect();
    return client;
  }),
);
const queues = await fold(clients[0]);
process.stdout.write(`ready ${queues.flat().reduce((sum, chunk) => sum + chunk.ledger.length, 0)} of ${state.records}\n`);
await new Promise((resolve) => process.stdin.once('data', resolve));

const start = performance.now();
let written = 0;
await Promise.all(
  clients.map(async (client, index) => {
    // Round robin over its partitions, as a consumer reads them: partition after partition, each would sweep the ledger's
    // time-ordered primary key from the front again, which costs three times the WAL.
    const own = queues.filter((_, partition) => partition % connections === index);
    for (let step = 0; own.some((queue) => step < queue.length); step += 1) {
      for (const queue of own) {
        const chunk = queue[step];
        if (chunk !== undefined) written += await upsertChunk(client, chunk);
      }
    }
  }),
);
process.stdout.write(`done ${written} ${(performance.now() - start) / 1_000}\n`);
process.exit(0);

/** Each partition's events as folded chunks, a queue a partition. State carries over from chunk to chunk in memory. */
async function fold(client: pg.Client | undefined): Promise<StockFold[][]> {
  const stored = await client?.query<{ user_id: string; item_id: string; on_hand: number; held: number; flags: number; version: string | null; last_event_id: string }>(
    'SELECT user_id, item_id, on_hand, held, flags, version::text, last_event_id FROM inventory_items',
  );
  const known = new Map(stored?.rows.map((row) => [row.user_id + row.item_id, row]));
  return [...partitions.values()].map((events) => {
    const chunks: StockFold[] = [];
    for (let index = 0; index < events.length; index += config.ingest.chunkEvents) {
      const chunk = new StockFold();
      for (const event of events.slice(index, index + config.ingest.chunkEvents)) {
        const item = chunk.touch(event.user_id, event.item_id);
        const row = known.get(item.userId + item.itemId);
        if (!item.changed && row !== undefined) {
          Object.assign(item, { exists: true, onHand: row.on_hand, held: row.held, flags: row.flags, version: row.version === null ? null : Number(row.version), lastEventId: row.last_event_id });
        }
        chunk.apply(event);
        known.set(item.userId + item.itemId, { user_id: item.userId, item_id: item.itemId, on_hand: item.onHand, held: item.held, flags: item.flags, version: item.version === null ? null : String(item.version), last_event_id: item.lastEventId ?? '' });
      }
      chunks.push(chunk);
    }
    return chunks;
  });
}
