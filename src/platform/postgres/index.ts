/** PostgreSQL: the pool, the transaction, and what errors mean. */
export { byteaArray, codeArray, intArray, jsonText, storable, textArray, timestampArray, uuidArray } from './arrays.ts';
export { SilentRollback } from './commit.ts';
export { recordOperatorAction, recordOperatorActions, selectActions, type ActionRow, type OperatorAction } from './audit.sql.ts';
export { classify, DatabaseFailure, recognise, toBrxError, type FailureKind } from './errors.ts';
export { readerMetrics, watchPostgres, watchReaders } from './metrics.ts';
export { poolStats, type PoolStats } from './pool.ts';
export { createPostgres, type Database, type Postgres, type PostgresOptions } from './postgres.ts';
export { createReaders, FALLBACK_REASONS, type FallbackReason, type Reader, type Readers, type ReadersOptions, type ReadOptions } from './replicas.ts';
export { IS_CLIENT } from './server.sql.ts';
export { openSession, type Session, type SessionOptions } from './session.ts';
export { nameStatement } from './statements.ts';
export { LANE_LOCK_CLASS, lockLanes, lockUsers } from './lanes.sql.ts';
export { CONFLICT_RETRIES, inTransaction, type Transaction, type TransactionOptions } from './transaction.ts';
export { refuseUrlSettings } from './url.ts';
export type { PrismaClient } from './generated/client.ts';
