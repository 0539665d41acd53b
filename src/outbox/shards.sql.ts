import { intArray, type Session } from '../platform/postgres/index.ts';

/** First key of the relays' session locks: "BRO" in ASCII. The second is the shard, or MEMBER. */
export const RELAY_LOCK_CLASS = 0x42_52_4f;
/** Held, shared, by every relay: how many hold it is how many share the shards. */
const MEMBER = 1_000;

export async function joinRelays(session: Session): Promise<void> {
  await session.query(`SELECT pg_advisory_lock_shared(${RELAY_LOCK_CLASS}, ${MEMBER})`);
}

/** How many relays there are, and how many of them stand before this one, in an order all of them see alike. */
export async function readRelays(session: Session): Promise<{ relays: number; before: number }> {
  const [row] = await session.query<{ relays: number; before: number }>(
    `SELECT count(DISTINCT pid)::int AS relays, (count(DISTINCT pid) FILTER (WHERE pid < pg_backend_pid()))::int AS before
       FROM pg_locks
      WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = ${RELAY_LOCK_CLASS} AND objid = ${MEMBER} AND objsubid = 2 AND granted`,
  );
  return row ?? { relays: 1, before: 0 };
}

/** Takes up to `most` of these shards, those that nobody holds; answers which. */
export async function takeShards(session: Session, shards: readonly number[], most: number): Promise<number[]> {
  const taken: number[] = [];
  for (const shard of shards) {
    if (taken.length === most) break;
    const [row] = await session.query<{ mine: boolean }>(`SELECT pg_try_advisory_lock(${RELAY_LOCK_CLASS}, $1) AS mine`, [shard]);
    if (row?.mine === true) taken.push(shard);
  }
  return taken;
}

export async function releaseShards(session: Session, shards: readonly number[]): Promise<void> {
  await session.query(`SELECT pg_advisory_unlock(${RELAY_LOCK_CLASS}, shard) FROM unnest($1::int[]) AS shard`, [intArray(shards)]);
}

/** Answers if the session lives, and with it its locks. */
export async function pingSession(session: Session): Promise<void> {
  await session.query('SELECT');
}
