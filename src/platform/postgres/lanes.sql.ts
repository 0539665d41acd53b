import { laneOf, LANES } from '../../contract/index.ts';
import { intArray } from './arrays.ts';
import { nameStatement } from './statements.ts';
import type { Transaction } from './transaction.ts';

/** First key of every lane lock: "BRX" in ASCII. */
export const LANE_LOCK_CLASS = 0x42_52_58;

const LOCK_LANES = nameStatement(
  `SELECT pg_advisory_xact_lock(${LANE_LOCK_CLASS}, lane) FROM unnest($1::int[]) AS lane`,
  'lock_lanes',
);

/**
 * Takes the lanes of a transaction, in ascending order whatever order they come in, and holds them until it ends. A statement of
 * its own, before any read: under READ COMMITTED a statement sees what was committed when it *began*, so a read in the same
 * statement as the lock would see the state from before the wait.
 */
export async function lockLanes(tx: Transaction, lanes: Iterable<number>): Promise<void> {
  const sorted = [...new Set(lanes)].sort((a, b) => a - b);
  if (sorted.length === 0) return;
  if (sorted.some((lane) => lane < 0 || lane >= LANES)) throw new RangeError(`lane out of range: ${sorted.join(', ')}`);
  await tx.$executeRawUnsafe(LOCK_LANES, intArray(sorted));
}

/**
 * Takes the lanes of these users: what every transaction that writes a user's rows does first, whoever runs it (DESIGN
 * section 5). From here to the commit nobody else changes anything of theirs.
 */
export function lockUsers(tx: Transaction, userIds: Iterable<string>): Promise<void> {
  return lockLanes(tx, new Set(Array.from(userIds, laneOf)));
}
