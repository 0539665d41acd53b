import type { Config } from '../../config.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Postgres } from '../../platform/postgres/index.ts';
import { assertMigrated } from '../migrate/index.ts';
import { judgeClock } from './clock-skew.ts';
import { selectLackingRights, selectServer, SHOW_PREPARED, SHOW_TRANSACTIONS, type ServerFacts } from './doctor.sql.ts';
import { examineSafely } from './examine.ts';
import { orOk, sayOf, type Finding } from './finding.ts';

const say = sayOf('postgres');
const OLDEST_VERSION = 140_000;
/** What one instance with every role may hold beside its pools: the session of the relay. */
const SESSIONS = 1;
const LONG_TRANSACTION_MS = 10 * 60_000;
/** Autovacuum forces itself at 200 million; four times that means that something keeps it from its work. */
const OLD_TRANSACTION_IDS = 800_000_000;

export async function examinePostgres(postgres: Postgres, config: Config, clock: Clock): Promise<Finding[]> {
  await postgres.ping();
  const before = clock.now();
  const server = await selectServer(postgres.pool, config.kafka.clientId);
  const after = clock.now();
  return [...judgeServer(server, config), judgeClock(say, { before, server: server.nowMs, after }), ...(await examineSafely('postgres', 'migrations', () => examineTables(postgres)))];
}

/** Rights of tables that are not there say nothing. */
async function examineTables({ pool }: Postgres): Promise<Finding[]> {
  await assertMigrated(pool); // throws what to do
  const lacking = await selectLackingRights(pool);
  return [
    say.ok('migrations', 'all applied'),
    lacking.length === 0
      ? say.ok('rights', 'the role may read and write every table')
      : say.failure('rights', `the role lacks ${lacking.map(({ table, lacks }) => `${lacks} on ${table}`).join('; ')}`, 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the role of BRX_DATABASE_URL, and ALTER DEFAULT PRIVILEGES for those of later migrations'),
  ];
}

export function judgeServer(server: ServerFacts, { postgres, replicas }: Pick<Config, 'postgres' | 'replicas'>): Finding[] {
  const findings = [
    server.version >= OLDEST_VERSION
      ? say.ok('version', server.versionText)
      : say.failure('version', `PostgreSQL ${server.versionText}`, `use ${OLDEST_VERSION / 10_000} or newer: older ones end idle sessions nowhere (idle_session_timeout), which is what frees the shards of a frozen instance`),
    server.readOnly ? say.failure('primary', 'it takes no writes: a standby, or default_transaction_read_only', 'point BRX_DATABASE_URL at the primary') : say.ok('primary', 'takes writes'),
    ...durability(server),
    connections(server, postgres.poolMax + replicas.poolMax + SESSIONS),
  ];
  if (server.oldestTransactionMs > LONG_TRANSACTION_MS)
    findings.push(say.warning('long transactions', `one has been open for ${Math.round(server.oldestTransactionMs / 60_000)} min: rows that the outbox and the ledger delete stay until it ends`, `${SHOW_TRANSACTIONS}; then end it, or pg_terminate_backend(pid)`));
  if (server.preparedTransactions > 0)
    findings.push(say.warning('prepared transactions', `${server.preparedTransactions} wait for COMMIT PREPARED, and BRX Sync makes none: they hold back vacuum, and locks, for ever`, `${SHOW_PREPARED}; then COMMIT PREPARED or ROLLBACK PREPARED`));
  if (server.transactionIdAge > OLD_TRANSACTION_IDS)
    findings.push(say.warning('transaction ids', `${Math.round(server.transactionIdAge / 1_000_000)} million are in use of 2,147: the server refuses writes when they run out`, 'see what keeps vacuum back (pg_stat_progress_vacuum, old transactions, replication slots), then VACUUM (FREEZE)'));
  return findings;
}

/** P3 counts on a commit that was acknowledged staying there. */
function durability({ fsync, fullPageWrites, synchronousCommit }: ServerFacts): Finding[] {
  const lost = 'offsets are committed for what a crash of the server would lose';
  const findings: Finding[] = [];
  if (fsync !== 'on') findings.push(say.failure('durability', `fsync=${fsync}: ${lost}, and its files may break`, 'set fsync=on and restart the server'));
  if (fullPageWrites !== 'on') findings.push(say.failure('durability', `full_page_writes=${fullPageWrites}: a crash of the machine may break its files`, 'set full_page_writes=on'));
  if (synchronousCommit === 'off') findings.push(say.failure('durability', `synchronous_commit=off: ${lost}`, 'set synchronous_commit=on for the role or the database of BRX_DATABASE_URL'));
  return orOk(findings, say.ok('durability', `fsync=${fsync}, synchronous_commit=${synchronousCommit}`));
}

function connections({ maxConnections, reservedConnections, connections: used, oursConnected }: ServerFacts, most: number): Finding {
  const others = used - oursConnected;
  const room = maxConnections - reservedConnections - others;
  const found = `a process may take ${most}; the server allows ${maxConnections}, others use ${others}: room for ${Math.max(0, Math.floor(room / most))} process${Math.floor(room / most) === 1 ? '' : 'es'}`;
  const remedy = 'lower BRX_DATABASE_POOL_MAX or BRX_DATABASE_READ_POOL_MAX, raise max_connections, or see who else is connected: SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1';
  if (room < most) return say.failure('connections', found, remedy);
  return room < 2 * most ? say.warning('connections', found, remedy) : say.ok('connections', found);
}
