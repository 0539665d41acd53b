import * as zlib from 'node:zlib';
import kafkajs from 'kafkajs';
import { describe, it } from 'vitest';
import { createEmptyDatabase } from '../support/database.ts';
import { checkOracle } from '../support/oracle-check.ts';
import { accept, createSystem, refuse, withRefused, workload } from '../support/system.ts';
import { until } from '../support/wait.ts';

/** The unknown stops the process loudly, with a code and a remedy, and never by skipping anything. */
describe.concurrent('a worker that cannot go on', () => {
  it('ends at start when the database is not migrated, and says how to', async (context) => {
    const { expect } = context;
    const system = await createSystem(context, { database: await createEmptyDatabase() });
    const worker = system.start();
    expect(await worker.ended()).toEqual({ code: 70, signal: null });
    expect(worker.text).toContain('error BRX_DATABASE_SCHEMA');
    expect(worker.text).toContain('brx-sync migrate');
    expect(await system.topics.members()).toEqual([]);
  });

  it('ends when a table is gone, and does not park everyone for it', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const { pool } = system;
    await system.publish(workload({ seed: 8_001, events: 2_000 }));
    await pool.query('ALTER TABLE stock_ledger RENAME TO elsewhere');
    const worker = system.start();
    expect(await worker.ended()).toEqual({ code: 70, signal: null });
    expect(worker.text).toContain('BRX_DATABASE_SCHEMA');
    expect((await pool.query('SELECT FROM parked_users')).rowCount).toBe(0);
    await pool.query('ALTER TABLE elsewhere RENAME TO stock_ledger');
    await system.finished(await system.takeOver());
  });

  it('ends when more users would be parked than it may, and nothing is skipped', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const { topics, pool } = system;
    await refuse(pool);
    await system.publish(withRefused(workload({ seed: 8_002, events: 3_000 }), { from: 500, users: 12 }));
    const worker = system.start({ env: { BRX_INGEST_MAX_PARKED_USERS: '2' } });
    expect(await worker.ended()).toEqual({ code: 70, signal: null });
    expect(worker.text).toContain('error BRX_TOO_MANY_PARKED');
    expect(worker.text).toContain('brx-sync parked list');
    expect((await pool.query('SELECT FROM parked_users')).rowCount).toBe(2);
    await checkOracle(topics, pool, { complete: false });

    await accept(pool);
    const next = await system.takeOver();
    await system.finished(next);
    expect(await system.command(['parked', 'retry', '--all'])).toMatchObject({ exit: 0 });
    expect((await system.finished(next)).outcomes.parked).toBe(0);
  });

  it('ends when kafkajs dies for good, though other partitions have work (on a Node that cannot read zstd), or reads it', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    const { topics } = system;
    await system.publish(workload({ seed: 8_003, events: 2_000 }));
    const worker = system.start();
    await system.finished(worker);
    // For every client of this process; the worker is another.
    kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({ compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(zstdFrame(buffer)), decompress: (buffer: Buffer) => Promise.resolve(buffer) });
    const producer = topics.kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    await producer.send({ topic: topics.events, compression: kafkajs.CompressionTypes.ZSTD, messages: [{ key: 'key', value: 'no Avro' }] });
    await producer.disconnect();
    await system.publish(workload({ seed: 8_004, events: 1_000 }));

    if ('zstdDecompress' in zlib) {
      await until('the dead letter of the record in the batch', async () => (await system.pool.query("SELECT FROM dead_letters WHERE record_key = 'key'")).rowCount === 1);
      return;
    }
    expect(await worker.ended()).toEqual({ code: 70, signal: null });
    expect(worker.text).toContain('error BRX_KAFKA_FATAL: a producer sent a batch compressed with zstd');
    expect(worker.text).toContain('what to do: run BRX Sync on Node 22.15 or newer');
    expect(await topics.members()).toEqual([]);
  });

  it('ends when its topic is deleted, rather than look alive', async (context) => {
    const { expect } = context;
    const system = await createSystem(context);
    await system.publish(workload({ seed: 8_005, events: 1_000 }));
    const worker = system.start();
    await system.finished(worker);
    await system.topics.admin.deleteTopics({ topics: [system.topics.events] });
    // kafkajs waits for a leader through all its retries first: 77 s, measured; 109 s on a busy machine.
    expect(await worker.ended(220_000)).toEqual({ code: 70, signal: null });
    expect(worker.text).toContain('error BRX_KAFKA_FATAL: the consumer died: This server does not host this topic-partition');
  }, 250_000);
});

/** The bytes as a zstd frame of raw blocks (RFC 8878): what a producer's compressor may send, without a compressor. */
function zstdFrame(content: Buffer): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0]);
  header.writeUInt32LE(content.length, 5);
  const block = Buffer.alloc(3);
  block.writeUIntLE((content.length << 3) | 1, 0, 3); // the last block, raw
  return Buffer.concat([header, block, content]);
}
