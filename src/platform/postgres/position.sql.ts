import type { PrismaClient } from './generated/client.ts';

type Database = Pick<PrismaClient, '$queryRawUnsafe'>;

/** Which database of which cluster: a standby has both in common with its primary, and nothing else has. */
export interface Identity {
  readonly system: string;
  readonly database: string;
}

export async function readIdentity(database: Database): Promise<Identity> {
  return one(await database.$queryRawUnsafe<Identity[]>('SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system, current_database()::text AS database'));
}

/**
 * How far the primary's log goes, `16/B374D848`: whatever was committed when this was asked lies before it (unless `synchronous_commit` is off, which
 * P3 forbids). Asked inside a transaction it lies before that transaction's own COMMIT. What is written, not what is inserted: at the
 * start of a segment the latter counts the header of a page nobody has written yet, and no replica ever has that while nothing happens.
 */
export async function readPosition(database: Database): Promise<string> {
  return one(await database.$queryRawUnsafe<{ position: string }[]>('SELECT pg_current_wal_lsn()::text AS position')).position;
}

export interface Replay {
  /** False for a server that was promoted, or never was a standby. */
  readonly standby: boolean;
  /** Up to where it has replayed the primary's log; null where it has none. */
  readonly replayed: string | null;
  /** Since the last transaction it replayed was committed, by the clocks of both: old also where nothing lags and nothing is written. */
  readonly seconds: number | null;
}

export async function readReplay(database: Database): Promise<Replay> {
  return one(
    await database.$queryRawUnsafe<Replay[]>(
      `SELECT pg_is_in_recovery() AS standby, pg_last_wal_replay_lsn()::text AS replayed,
              greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))::float8 AS seconds`,
    ),
  );
}

function one<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return row;
}
