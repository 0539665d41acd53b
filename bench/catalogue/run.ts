import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Catalogue, mappingText, type CatalogueObserver, type Mapping } from '../../src/catalogue/index.ts';
import { SharedMappings } from '../../src/catalogue/shared.ts';
import type { CatalogueConfig } from '../../src/config.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../../src/platform/log.ts';
import type { Mysql, RunStatement } from '../../src/platform/mysql/index.ts';
import type { Redis } from '../../src/platform/redis/index.ts';

export interface Run {
  name: string;
  lookups: number;
  seconds: number;
  /** Of this process, comparing with the tables included. */
  cpuSeconds: number;
  /** Look-ups answered from there. */
  memory: number;
  redis: number;
  mysql: number;
  queries: number;
  /** Most connections to MySQL at a time, looked at each 5 ms. */
  connections: number;
  /** What the process has more than before, after a garbage collection. */
  heapMiB: number;
  /** Answers that are not what the tables say. */
  wrong: number;
}

/** What a snapshot record carries at most. */
const PRODUCTS_A_RECORD = 500;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const heap = (): number => {
  gc();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

export interface Place {
  readonly mysql: Mysql;
  readonly redis: Redis | undefined;
  readonly config: CatalogueConfig;
}

/** A catalogue as a fresh process has it, and how to let chunks through it; `play` again is the same process later. */
export function contestant({ mysql, redis, config }: Place): { play(name: string, chunks: readonly Uint32Array[], atOnce: number, truth: ReadonlyMap<number, Mapping>): Promise<Run> } {
  const before = heap();
  const count = { memory: 0, redis: 0, mysql: 0, queries: 0 };
  const observer: CatalogueObserver = { answered: (source, _kind, many) => void (count[source] += many), redisFailed: () => undefined };
  const query: RunStatement = (sql, values) => {
    count.queries += 1;
    return mysql.query(sql, values);
  };
  const catalogue = new Catalogue({ mysql: { query }, shared: redis === undefined ? undefined : new SharedMappings(redis, config, systemClock), config, clock: systemClock, logger: silentLogger, observer });
  return {
    async play(name, chunks, atOnce, truth) {
      Object.assign(count, { memory: 0, redis: 0, mysql: 0, queries: 0 });
      let [connections, wrong, next] = [0, 0, 0];
      const watch = setInterval(() => (connections = Math.max(connections, mysql.stats().used + mysql.stats().idle)), 5);
      const [begun, cpu] = [performance.now(), process.cpuUsage()];
      const worker = async (): Promise<void> => {
        for (let chunk = chunks[next++]; chunk !== undefined; chunk = chunks[next++]) {
          for (let from = 0; from < chunk.length; from += PRODUCTS_A_RECORD) {
            for (const [id, mapping] of await catalogue.lookup(chunk.subarray(from, from + PRODUCTS_A_RECORD))) {
              if (!same(mapping, truth.get(id))) wrong += 1;
            }
          }
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      const seconds = (performance.now() - begun) / 1_000;
      const used = process.cpuUsage(cpu);
      await catalogue.settled();
      clearInterval(watch);
      return { name, lookups: chunks.reduce((sum, { length }) => sum + length, 0), seconds, cpuSeconds: (used.user + used.system) / 1e6, ...count, connections, heapMiB: heap() - before, wrong };
    },
  };
}

function same(mapping: Mapping, truth: Mapping | undefined): boolean {
  if (mapping.kind === 'print') return truth?.kind === 'print' && truth.print.id === mapping.print.id && truth.print.table === mapping.print.table;
  return mappingText(mapping) === (truth === undefined ? 'unknown' : mappingText(truth));
}
