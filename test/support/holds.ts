import type pg from 'pg';
import { LANES } from '../../src/contract/index.ts';
import { LANE_LOCK_CLASS } from '../../src/platform/postgres/index.ts';
import type { System } from './system.ts';
import { until } from './wait.ts';

/** Something a worker needs, held by the test: the worker stands still in a known phase until it is released. */
export interface Hold {
  /** Resolves once a worker waits for it. */
  reached(): Promise<void>;
  release(): Promise<void>;
}

/** Advisory lock of the triggers below; its class is not that of the lanes. */
const GATE = 4_711;

const BACKENDS = `SELECT pid, state, query, wait_event_type AS "waitsFor", backend_xid::text AS xid,
         (extract(epoch FROM clock_timestamp() - query_start) * 1000)::float8 AS "sinceMs" FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'brx-sync%'`;

export interface Backend {
  pid: number;
  state: string;
  query: string;
  waitsFor: string | null;
  xid: string | null;
  /** Since its last statement began. */
  sinceMs: number;
}

/** The workers' server processes in this database. */
export async function backends(database: Pick<pg.Pool, 'query'>): Promise<Backend[]> {
  return (await database.query<Backend>(BACKENDS)).rows;
}

/** Resolves to a worker's server process that waits for a lock in a statement like this. */
export async function blocked(system: System, statement: RegExp): Promise<Backend> {
  return until(`a worker that waits for a lock in ${String(statement)}`, async () => (await backends(system.pool)).find(({ waitsFor, query }) => waitsFor === 'Lock' && statement.test(query)), { timeoutMs: 40_000, state: () => system.tail() });
}

async function heldBy(system: System, statement: RegExp, take: (client: pg.Client) => Promise<unknown>): Promise<Hold> {
  const client = await system.connect();
  await take(client);
  return {
    async reached() {
      await blocked(system, statement);
    },
    release: () => client.end(),
  };
}

const tableLock = (mode: string) => async (client: pg.Client): Promise<void> => {
  await client.query('BEGIN');
  await client.query(`LOCK TABLE ${mode}`);
};

/** Every lane is held by the test: a transaction has begun and waits for its lanes. */
export const holdLanes = (system: System): Promise<Hold> =>
  heldBy(system, /pg_advisory_xact_lock\(\d+, lane\)/, (client) => client.query(`SELECT pg_advisory_lock(${LANE_LOCK_CLASS}, lane) FROM generate_series(0, ${LANES - 1}) AS lane`));

/** The lanes are taken, the ledger cannot be read. */
export const holdReads = (system: System): Promise<Hold> => heldBy(system, /JOIN stock_ledger/, tableLock('stock_ledger IN ACCESS EXCLUSIVE MODE'));

/** Everything is read, nothing can be written. */
export const holdWrites = (system: System): Promise<Hold> => heldBy(system, /^WITH items AS/, tableLock('inventory_items IN SHARE MODE'));

/** Nobody can be parked. */
export const holdParking = (system: System): Promise<Hold> => heldBy(system, /INSERT INTO parked_users/, tableLock('parked_users IN SHARE MODE'));

/** COMMIT is at the server, which cannot finish it: a deferred trigger of the ledger waits. */
export async function holdCommits(system: System): Promise<Hold> {
  await system.pool.query(`CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(${GATE}); RETURN NULL; END'`);
  await system.pool.query('CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON stock_ledger DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION gate()');
  return heldBy(system, /^COMMIT/, (client) => client.query(`SELECT pg_advisory_lock(${GATE})`));
}

/** Records are at the broker, and their rows cannot be deleted. */
export async function holdDeletes(system: System): Promise<Hold> {
  await system.pool.query(`CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(${GATE}); RETURN NULL; END'`);
  await system.pool.query('CREATE TRIGGER gate BEFORE DELETE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION gate()');
  return heldBy(system, /DELETE FROM outbox/, (client) => client.query(`SELECT pg_advisory_lock(${GATE})`));
}
