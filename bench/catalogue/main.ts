import { parseArgs } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { PRINT_TABLES, seedCatalogue, type Mapping, type Print } from '../../src/catalogue/index.ts';
import { mappingOf } from '../../src/catalogue/mapping.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import { createMysql } from '../../src/platform/mysql/index.ts';
import { createRandom } from '../../src/platform/random.ts';
import { createRedis } from '../../src/platform/redis/index.ts';
import { startPrivateMariadb, startPrivateRedis } from '../../stack/index.ts';
import { keepResult, machine } from '../results.ts';
import { render, type Result } from './report.ts';
import { contestant, type Run } from './run.ts';
import { chunksOf } from './workload.ts';

/** `npm run bench:catalogue`: where the look-ups of a large bulk sync are answered, in the first run and in those after it. */
const { values: flags } = parseArgs({
  options: { chunks: { type: 'string', default: '300' }, items: { type: 'string', default: '5000' }, prints: { type: 'string', default: '200000' }, skew: { type: 'string', default: '0.7' }, 'at-once': { type: 'string', default: '12' }, seed: { type: 'string', default: '1' }, name: { type: 'string', default: 'catalogue' }, help: { type: 'boolean', default: false } },
});
if (flags.help) {
  process.stdout.write('npm run bench:catalogue -- [--chunks 300] [--items 5000] [--prints 200000] [--skew 0.7] [--at-once 12] [--seed 1] [--name catalogue]\n');
  process.exit(0);
}
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const shape = { chunks: Number(flags.chunks), itemsAChunk: Number(flags.items), skew: Number(flags.skew), unknown: 0.01 };
const atOnce = Number(flags['at-once']);

say('a MariaDB and a Redis of its own');
const [mariadb, server] = [await startPrivateMariadb(), await startPrivateRedis()];
const options = { logger: silentLogger, clock: systemClock };
const mysql = createMysql({ url: mariadb.url, replicaUrls: [], poolMax: 10, acquireTimeoutMs: 5_000, queryTimeoutMs: 20_000 }, options);
const redis = createRedis({ url: server.url, commandTimeoutMs: 5_000 }, { logger: silentLogger });
try {
  say(`${flags.prints} prints`);
  await seedCatalogue(mysql, { rows: Number(flags.prints), seed: Number(flags.seed) });
  const truth = await readTruth();
  const chunks = chunksOf(createRandom(Number(flags.seed)), { ...shape, blueprints: [...truth.keys()] });
  const distinct = new Set(chunks.flatMap((chunk) => [...chunk])).size;
  const distinctAChunk = chunks.reduce((sum, chunk) => sum + new Set(chunk).size, 0) / chunks.length;

  const usual = { memoryEntries: 250_000, memoryTtlMs: 600_000, ttlMs: 86_400_000, unknownTtlMs: 300_000 };
  const runs: Run[] = [];
  const keep = (run: Run): void => {
    runs.push(run);
    say(`${run.name}: ${Math.round(run.lookups / run.seconds)}/s, ${run.queries} queries, wrong ${run.wrong}`);
  };
  const first = contestant({ mysql, redis, config: usual });
  keep(await first.play('first run: nothing in memory, nothing in Redis', chunks, atOnce, truth));
  keep(await contestant({ mysql, redis, config: usual }).play('second run, in a process just started: Redis only', chunks, atOnce, truth));
  keep(await first.play('second run, in the same process', chunks, atOnce, truth));
  const small = contestant({ mysql, redis, config: { ...usual, memoryEntries: 20_000 } });
  keep(await small.play('second run with room for 20,000 blueprints in memory', chunks, atOnce, truth));
  const alone = contestant({ mysql, redis: undefined, config: usual });
  keep(await alone.play('first run without Redis', chunks, atOnce, truth));
  keep(await contestant({ mysql, redis: undefined, config: { ...usual, memoryEntries: 1 } }).play('without Redis and memory: batches and single flight alone', chunks, atOnce, truth));

  const result: Result = {
    at: new Date().toISOString(),
    machine: machine(),
    shape: { ...shape, prints: Number(flags.prints), atOnce, distinct, distinctAChunk },
    runs,
  };
  keepResult(flags.name, result, render(result));
} finally {
  await redis.close();
  await mysql.close();
  await server.remove();
  await mariadb.remove();
}
process.exit(0);

/** What the tables say of each blueprint, read whole: nothing of the look-up takes part. */
async function readTruth(): Promise<Map<number, Mapping>> {
  const connection = await createConnection(mariadb.url);
  const prints = new Map<number, Print[]>();
  for (const table of PRINT_TABLES) {
    const [rows] = await connection.query(`SELECT id, cardtrader_id AS blueprint FROM ${table} WHERE cardtrader_id IS NOT NULL`);
    for (const { id, blueprint } of rows as { id: number; blueprint: number }[]) prints.set(blueprint, [...(prints.get(blueprint) ?? []), { table, id }]);
  }
  await connection.end();
  return new Map([...prints].map(([blueprint, of]) => [blueprint, mappingOf(of)]));
}
