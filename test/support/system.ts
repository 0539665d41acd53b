import pg from 'pg';
import type { TestContext } from 'vitest';
import type { FaultAction, FaultPoint } from '../../src/platform/fault-points.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { generateEvents, publishWorkload, type GeneratedRecord, type WorkloadOptions } from '../../src/operations/generate/index.ts';
import { commandLine, type Ran } from './cli.ts';
import { createTestDatabase, openPool } from './database.ts';
import { startFlow, type RunningFlow } from './flow.ts';
import { checkOracle } from './oracle-check.ts';
import { stackUrls } from './stack.ts';
import { createTestTopics, type TestTopics } from './topic.ts';
import { Worker, type Environment } from './worker.ts';

/** Topics, group, database and worker processes of one test alone; all of it goes when the test is over. */
export interface System {
  readonly topics: TestTopics;
  readonly databaseUrl: string;
  /** For looking; the workers have pools of their own. */
  readonly pool: pg.Pool;
  /** `ingest` and `relay`, with sales `saga` too, as `brx-sync start` runs them. */
  start(options?: { fault?: `${FaultPoint}:${FaultAction}` | `${FaultPoint}:${FaultAction}:${number}`; env?: Environment }): Worker;
  /** The same roles in this process, for whoever goes on with what another one left (flow.ts). */
  takeOver(): Promise<Successor>;
  /** Any other command, in a process of its own. */
  run(args: readonly string[]): Worker;
  /** Any other command, in this process. */
  command(args: readonly string[]): Promise<Ran>;
  publish(records: Iterable<GeneratedRecord>, options?: { rate?: number; signal?: AbortSignal }): Promise<void>;
  ledgerRows(): Promise<number>;
  /** A connection of its own, closed with the test: what it locks stays locked. */
  connect(): Promise<pg.Client>;
  /** The last words of every worker. */
  tail(): string;
  /** Resolves once everything published is processed, with sales also settled, and the oracle agrees. Throws as soon as one of `workers` ends instead. */
  finished(...workers: readonly (Worker | Successor)[]): ReturnType<typeof checkOracle>;
}

export interface Successor {
  /** Rejects with what would have ended the process. */
  readonly failed: Promise<never>;
}

/** Short enough to wait for in a test: the least the program takes. */
const SESSION_TIMEOUT_MS = 3_000;
const FINISH_MS = 60_000;

export async function createSystem({ task, onTestFinished }: TestContext, options: { serverUrl?: string; database?: { url: string; drop(): Promise<void> }; sales?: boolean; sessionTimeoutMs?: number } = {}): Promise<System> {
  const workers: Worker[] = [];
  const successors: RunningFlow[] = [];
  const clients: pg.Client[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  onTestFinished(async () => {
    if (task.result?.state === 'fail') process.stderr.write(`${workers.map((worker) => worker.tail(60)).join('\n')}\n`);
    await Promise.all([...workers.map((worker) => worker.kill()), ...successors.map((flow) => flow.stop())]);
    await Promise.all(clients.map((client) => client.end().catch(() => undefined))); // its server may be gone by now
    for (const close of closing.reverse()) await close();
  });

  const database = options.database ?? (await createTestDatabase(options.serverUrl));
  if (options.serverUrl === undefined) closing.push(() => database.drop()); // a server of the test's own goes as a whole
  const topics = await createTestTopics();
  closing.push(() => topics.remove());
  const pool = openPool(database, 3);
  closing.push(() => pool.end());

  const sales = options.sales === true;
  const environment: Environment = {
    BRX_KAFKA_BROKERS: stackUrls().kafkaBrokers,
    BRX_SCHEMA_REGISTRY_URL: stackUrls().registryUrl,
    BRX_DATABASE_URL: database.url,
    BRX_TOPIC_PREFIX: topics.prefix,
    BRX_INGEST_GROUP_ID: topics.groupId,
    BRX_SAGA_GROUP_ID: topics.sagaGroupId,
    BRX_INGEST_CHUNK_EVENTS: '100',
    BRX_INGEST_SESSION_TIMEOUT_MS: String(options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS),
    BRX_LOG_FORMAT: 'json',
  };
  const roles = ['ingest', ...(sales ? (['saga'] as const) : []), 'relay'] as const;
  const { brx } = commandLine(environment);
  const started = (worker: Worker): Worker => {
    workers.push(worker);
    return worker;
  };

  return {
    topics,
    databaseUrl: database.url,
    pool,
    start: ({ fault, env } = {}) => started(new Worker(['start', '--roles', roles.join()], { ...environment, ...(fault === undefined ? {} : { BRX_FAULT: fault }), ...env })),
    async takeOver() {
      let fail: (error: Error) => void = () => undefined;
      const failed = new Promise<never>((_, reject) => {
        fail = reject;
      });
      failed.catch(() => undefined); // told where it is waited for
      successors.push(await startFlow(environment, roles, { onFatal: fail }));
      return { failed };
    },
    run: (args) => started(new Worker(args, environment)),
    command: brx,
    async publish(records, { rate, signal } = {}) {
      await publishWorkload(records, {
        producer: topics.producer,
        topic: topics.events,
        schemaIds: topics.schemaIds,
        clock: systemClock,
        ...(rate === undefined ? {} : { rate }),
        ...(signal === undefined ? {} : { signal }),
      });
    },
    async ledgerRows() {
      const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM stock_ledger');
      return rows[0]?.n ?? 0;
    },
    async connect() {
      const client = new pg.Client({ connectionString: database.url });
      client.on('error', () => undefined); // a test may take its server away
      await client.connect();
      clients.push(client);
      return client;
    },
    tail: () => workers.map((worker) => worker.tail(5)).join('\n'),
    finished(...running) {
      const endedEarly = running.map((worker) =>
        'failed' in worker
          ? worker.failed
          : worker.exited.then((): never => {
              throw new Error(`a worker ended that should have finished the work\n${worker.tail()}`);
            }),
      );
      return Promise.race([checkOracle(topics, pool, { complete: true, settled: sales, waitMs: FINISH_MS }), ...endedEarly]);
    },
  };
}

/** A workload with everything in it: duplicates, stale versions, poison, adjustments below zero; of now, so that nothing is too old by itself. */
export function workload(options: Partial<WorkloadOptions> = {}): Generator<GeneratedRecord> {
  return generateEvents({ at: Date.now(), users: 60, itemsPerUser: 20, poison: 0.02, negative: 0.01, duplicates: 0.1, ...options });
}

/** The same with purchases, a third of them called off, for a system with sales. */
export function salesWorkload(options: Partial<WorkloadOptions> = {}): Generator<GeneratedRecord> {
  return workload({ purchases: 0.2, cancels: 0.33, ...options });
}

/** An event whose source is this is refused by a database that was told so by `refuse`: the event parks its user. */
export const REFUSED_SOURCE = 'refused by the test';

export async function refuse(database: Pick<pg.Pool, 'query'>): Promise<void> {
  await database.query(`ALTER TABLE stock_ledger ADD CONSTRAINT refused_by_test CHECK (cause <> '${REFUSED_SOURCE}') NOT VALID`);
}

export async function accept(database: Pick<pg.Pool, 'query'>): Promise<void> {
  await database.query('ALTER TABLE stock_ledger DROP CONSTRAINT refused_by_test');
}

/** The same records, but of each of the first `users` users met from number `from` on one event is one that `refuse` refuses. */
export function* withRefused(records: Iterable<GeneratedRecord>, { from, users }: { from: number; users: number }): Generator<GeneratedRecord> {
  const chosen = new Set<string>();
  let index = 0;
  for (const record of records) {
    const { body, intent, key } = record;
    if (index >= from && chosen.size < users && !chosen.has(key) && 'record' in body && (intent === 'set' || intent === 'adjust')) {
      chosen.add(key);
      yield { ...record, body: { ...body, value: { ...body.value, source: REFUSED_SOURCE } } as GeneratedRecord['body'] };
    } else yield record;
    index += 1;
  }
}
