import { BrxError } from '../errors.ts';
import { inTransaction, recordOperatorAction, type Postgres, type Transaction } from '../platform/postgres/index.ts';
import { dropRow, RETRIED, selectBlocked, SKIPPED, unblock, type BlockedRow } from './blocked.sql.ts';

export function listBlocked(postgres: Postgres): Promise<BlockedRow[]> {
  return selectBlocked(postgres.prisma);
}

/** Has the relay try a refused row again, after its cause is gone; what is refused again is blocked again. */
export function retryBlocked(postgres: Postgres, id: bigint, by: { who: string; reason: string }): Promise<BlockedRow> {
  return inTransaction(postgres, (tx) => release(tx, id, { ...by, action: RETRIED }));
}

/** Gives a refused row up: it is never published, and what waits behind it flows. */
export function skipBlocked(postgres: Postgres, id: bigint, by: { who: string; reason: string }): Promise<BlockedRow> {
  return inTransaction(postgres, async (tx) => {
    const row = await release(tx, id, { ...by, action: SKIPPED });
    await dropRow(tx, row);
    return row;
  });
}

async function release(tx: Transaction, id: bigint, by: { who: string; reason: string; action: string }): Promise<BlockedRow> {
  const [row] = await selectBlocked(tx, id);
  if (row === undefined) throw notBlocked(id, 'is not blocked');
  if (!(await unblock(tx, row))) throw notBlocked(id, 'was released by somebody else meanwhile');
  const { topic, userId, eventId, bytes, error, attempts, waiting } = row;
  await recordOperatorAction(tx, { ...by, target: String(id), detail: { topic, userId, eventId, bytes, error, attempts, waiting } });
  return row;
}

const notBlocked = (id: bigint, what: string): BrxError => new BrxError('BRX_REFUSED', `outbox row ${id} ${what}`, { remedy: '`brx-sync outbox list` shows what is blocked' });
