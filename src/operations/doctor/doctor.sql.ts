import type pg from 'pg';
import type { RunStatement } from '../../platform/mysql/index.ts';
import { IS_CLIENT } from '../../platform/postgres/index.ts';

type Queryable = Pick<pg.Pool, 'query'>;

/** What a PostgreSQL server says of itself. Times in ms since 1970, durations in ms. */
export interface ServerFacts {
  readonly version: number;
  readonly versionText: string;
  readonly readOnly: boolean;
  readonly nowMs: number;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly synchronousCommit: string;
  readonly maxConnections: number;
  readonly reservedConnections: number;
  readonly connections: number;
  /** Of processes of BRX Sync: as many as told `application_name`s apart. */
  readonly oursConnected: number;
  readonly oldestTransactionMs: number;
  readonly preparedTransactions: number;
  readonly transactionIdAge: number;
}

const SERVER = `
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS "versionText",
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS "readOnly",
       extract(epoch FROM clock_timestamp()) * 1000 AS "nowMs",
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS "fullPageWrites", current_setting('synchronous_commit') AS "synchronousCommit",
       current_setting('max_connections')::int AS "maxConnections", current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) AS "reservedConnections",
       (SELECT count(*)::int FROM pg_stat_activity WHERE ${IS_CLIENT}) AS connections,
       (SELECT count(*)::int FROM pg_stat_activity WHERE ${IS_CLIENT} AND application_name IN ($1, $1 || ' relay', $1 || ' reads')) AS "oursConnected",
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000, 0) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS "oldestTransactionMs",
       (SELECT count(*)::int FROM pg_prepared_xacts) AS "preparedTransactions",
       (SELECT age(datfrozenxid)::int FROM pg_database WHERE datname = current_database()) AS "transactionIdAge"`;

export async function selectServer(database: Queryable, applicationName: string): Promise<ServerFacts> {
  const { rows } = await database.query<Record<string, string | number | boolean>>(SERVER, [applicationName]);
  const row = rows[0] ?? {};
  return { ...row, nowMs: Number(row['nowMs']), oldestTransactionMs: Number(row['oldestTransactionMs']) } as unknown as ServerFacts;
}

/** Tables of this schema on which the current role lacks one of the four rights every role of BRX Sync uses, with those it lacks. */
const LACKING = `
SELECT c.relname AS "table", string_agg(p.privilege, ', ' ORDER BY p.privilege) AS lacks
FROM pg_class AS c CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p (privilege)
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT has_table_privilege(c.oid, p.privilege)
GROUP BY c.relname ORDER BY c.relname`;

export async function selectLackingRights(database: Queryable): Promise<{ table: string; lacks: string }[]> {
  return (await database.query<{ table: string; lacks: string }>(LACKING)).rows;
}

/** What a MySQL server of the catalogue says of itself. */
export interface CatalogueServer {
  readonly version: string;
  readonly maxConnections: number;
  readonly connections: number;
  /** Tables with an index that begins with `cardtrader_id`. */
  readonly indexed: readonly string[];
}

const MYSQL_SERVER = 'SELECT @@version AS version, @@max_connections AS max_connections';
const MYSQL_CONNECTIONS = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";
const MYSQL_INDEXES = "SELECT DISTINCT table_name AS table_name FROM information_schema.statistics WHERE table_schema = database() AND column_name = 'cardtrader_id' AND seq_in_index = 1";

export async function selectCatalogueServer(run: RunStatement): Promise<CatalogueServer> {
  const [server = {}] = await run(MYSQL_SERVER);
  const [connections = {}] = await run(MYSQL_CONNECTIONS);
  const indexes = await run(MYSQL_INDEXES);
  return { version: String(server['version']), maxConnections: Number(server['max_connections']), connections: Number(connections['Value']), indexed: indexes.map((row) => String(row['table_name'])) };
}

/** For people to run. */
export const SHOW_TRANSACTIONS = 'SELECT pid, xact_start, application_name, query FROM pg_stat_activity ORDER BY xact_start';
export const SHOW_PREPARED = 'SELECT * FROM pg_prepared_xacts';
export const createIndex = (table: string): string => `CREATE INDEX ${table}_cardtrader_id ON ${table} (cardtrader_id)`;
