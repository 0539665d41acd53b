import pg from 'pg';
import { startPrivatePostgres, resolveStack, type StackUrls } from '../../stack/index.ts';
import { startChild, type Child } from '../ingest/child.ts';
import { cpuSeconds, postgresCpuSeconds, walPosition } from '../ingest/measure.ts';

/** A seller here and at CardTrader. */
export interface Shop {
  readonly userId: string;
  readonly sellerId: number;
  readonly token: string;
  readonly items: readonly { readonly itemId: string; readonly productId: number; readonly blueprintId: number }[];
}

export interface SimulatorReport {
  readonly requests: number;
  readonly throttled: number;
  /** Operations that took effect more than once. */
  readonly repeated: number;
  readonly quantities: readonly (readonly [productId: number, quantity: number])[];
}

export interface Sizes {
  /** Sellers of each contestant. */
  readonly shops: number;
  readonly items: number;
  readonly copies: number;
  readonly latencyMs: number;
}

/** What a saga costs PostgreSQL, in all. */
export interface DatabaseCosts {
  readonly commits: number;
  /** Transactions that wrote something. */
  readonly writes: number;
  /** BEGIN and COMMIT included. */
  readonly statements: number;
  readonly walBytes: number;
  readonly processCpuSeconds: number;
  readonly postgresCpuSeconds: number;
  readonly simulatorRequests: number;
}

export interface World {
  readonly stack: StackUrls;
  readonly sizes: Sizes;
  readonly server: pg.Client;
  readonly apiUrl: string;
  /** Sellers nobody else has. */
  takeShops(): Shop[];
  /** A new database; its URL. */
  createDatabase(name: string): Promise<string>;
  /** Starts to count; the answer counts until it is called. `pid`: the contestant's process. */
  startCounting(pid: number): Promise<() => Promise<DatabaseCosts>>;
  simulator(): Promise<SimulatorReport>;
  /** Calls and milliseconds of each statement from now on until it is asked. */
  statements(): Promise<() => Promise<{ query: string; calls: number; ms: number }[]>>;
  close(): Promise<void>;
}

/** Contestants never run at the same time, so what the server counts is one contestant's. */
export async function createWorld(sizes: Sizes, contestants: number, say: (line: string) => void): Promise<World> {
  const stack = await resolveStack({ report: say });
  // Of its own, because the shared one does not count statements, and its WAL is everybody's.
  const postgres = await startPrivatePostgres(undefined, { sharedBuffers: '256MB', preload: 'pg_stat_statements' });
  let simulator: Child | undefined;
  try {
    const server = new pg.Client({ connectionString: postgres.url });
    server.on('error', () => undefined); // the next query says so
    await server.connect();
    await server.query('CREATE EXTENSION pg_stat_statements');
    const running = startChild('bench/saga/simulator.js', [contestants * sizes.shops, sizes.items, sizes.copies, sizes.latencyMs].map(String), {});
    simulator = running;
    const { apiUrl, shops } = JSON.parse((await running.line('ready')).slice('ready '.length)) as { apiUrl: string; shops: Shop[] };
    const report = async (): Promise<SimulatorReport> => {
      running.say('tell');
      return JSON.parse((await running.line('told')).slice('told '.length)) as SimulatorReport;
    };
    return {
      stack,
      sizes,
      server,
      apiUrl,
      takeShops: () => shops.splice(0, sizes.shops),
      async createDatabase(name) {
        await server.query(`CREATE DATABASE ${name}`);
        const url = new URL(postgres.url);
        url.pathname = `/${name}`;
        return url.toString();
      },
      async startCounting(pid) {
        const before = await count(server, pid);
        return async () => {
          const after = await count(server, pid);
          return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name as keyof DatabaseCosts]])) as unknown as DatabaseCosts;
        };
      },
      simulator: report,
      async statements() {
        const read = async (): Promise<Map<string, { query: string; calls: number; ms: number }>> => {
          const { rows } = await server.query<{ query: string; calls: number; ms: number }>(`SELECT left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 110) AS query, sum(calls)::float8 AS calls, sum(total_exec_time) AS ms FROM pg_stat_statements GROUP BY 1`);
          return new Map(rows.map((row) => [row.query, row]));
        };
        const before = await read();
        return async () =>
          [...(await read()).values()]
            .map(({ query, calls, ms }) => ({ query, calls: calls - (before.get(query)?.calls ?? 0), ms: ms - (before.get(query)?.ms ?? 0) }))
            .filter(({ calls }) => calls > 0)
            .sort((a, b) => b.ms - a.ms);
      },
      async close() {
        await running.stop();
        await server.end();
        await postgres.remove();
      },
    };

    async function count(client: pg.Client, pid: number): Promise<DatabaseCosts> {
      const { rows } = await client.query<{ commits: string; writes: string; statements: string }>(
        `SELECT (SELECT sum(xact_commit) FROM pg_stat_database)::text AS commits, pg_current_xact_id()::text AS writes, (SELECT sum(calls) FROM pg_stat_statements)::text AS statements`,
      );
      const [row] = rows;
      return {
        commits: Number(row?.commits),
        writes: Number(row?.writes),
        statements: Number(row?.statements),
        walBytes: Number(await walPosition(client)),
        processCpuSeconds: cpuSeconds(pid),
        postgresCpuSeconds: await postgresCpuSeconds(client),
        simulatorRequests: (await report()).requests,
      };
    }
  } catch (error) {
    await simulator?.stop();
    await postgres.remove();
    throw error;
  }
}
