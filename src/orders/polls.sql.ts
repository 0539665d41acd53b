import { intArray, nameStatement, textArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';

/** A seller whose orders this process looks at, until its lease is over. */
export interface ClaimedPoll {
  readonly userId: string;
  readonly token: Uint8Array;
  readonly tokenKeyId: string;
  /** When the account was taken on, milliseconds. */
  readonly since: number;
  /** The list of orders is to be read; else only webhooks wait. */
  readonly due: boolean;
  /** How many webhooks there had been when it was claimed. */
  readonly webhookSeq: number;
  /** Polls in a row that came to nothing. */
  readonly failures: number;
  /** When it was claimed, by the database's clock, seconds: what has happened by then is in the list that is read now. */
  readonly begunAt: number;
}

const CLAIM_POLLS = nameStatement(
  `UPDATE remote_order_polls AS p SET lease_owner = $1::uuid, lease_until = now() + make_interval(secs => $2::float8)
     FROM (SELECT q.user_id FROM remote_order_polls AS q JOIN marketplace_sellers AS s ON s.user_id = q.user_id AND s.status = 'active'
            WHERE LEAST(q.next_poll_at, q.webhook_at) <= now() AND (q.lease_until IS NULL OR q.lease_until < now()) AND q.user_id <> ALL ($4::uuid[])
            ORDER BY LEAST(q.next_poll_at, q.webhook_at) LIMIT $3::int FOR UPDATE OF q SKIP LOCKED) AS work
     JOIN marketplace_sellers AS m ON m.user_id = work.user_id
    WHERE p.user_id = work.user_id
   RETURNING p.user_id AS "userId", m.token, m.token_key_id AS "tokenKeyId", round(extract(epoch FROM m.added_at) * 1000)::float8 AS since, p.next_poll_at <= now() AS due, p.webhook_seq::float8 AS "webhookSeq", p.failures, extract(epoch FROM now())::float8 AS "begunAt"`,
  'claim_polls',
);

/**
 * Takes sellers whose orders are to be looked at, those first that have waited longest: found and claimed in one statement. Not those in `but`, at whom this process looks already: a
 * look that outlasts its lease goes to another process at worst, never to the same one again and again.
 */
export async function claimPolls(tx: Transaction, owner: string, { leaseSeconds, most, but }: { leaseSeconds: number; most: number; but: readonly string[] }): Promise<ClaimedPoll[]> {
  return tx.$queryRawUnsafe(CLAIM_POLLS, owner, leaseSeconds, most, uuidArray(but));
}

const KEEP_POLL = nameStatement(
  `UPDATE remote_order_polls SET lease_until = now() + make_interval(secs => $3::float8), through_id = GREATEST(through_id, $4::float8::bigint)
    WHERE user_id = $1::uuid AND lease_owner = $2::uuid`,
  'keep_poll',
);

/** Prolongs the lease, and says how far the list has been read; false: the seller is somebody else's by now. */
export async function keepPoll(tx: Transaction, owner: string, userId: string, { leaseSeconds, throughId }: { leaseSeconds: number; throughId: number | null }): Promise<boolean> {
  return (await tx.$executeRawUnsafe(KEEP_POLL, userId, owner, leaseSeconds, throughId)) === 1;
}

/** How a look at a seller's orders has ended. */
export interface PollEnd {
  readonly userId: string;
  readonly webhookSeq: number;
  /** When it was claimed. */
  readonly begunAt: number;
  /** The list was to be read. */
  readonly due: boolean;
  /** When the list is read next, unless it was to be sooner; null: as it was. */
  readonly nextSeconds: number | null;
  /** Whether the list has been read to its end. */
  readonly complete: boolean;
  /** Why it came to nothing; null: it did not. */
  readonly problem: string | null;
}

/*
 * A webhook that came in meanwhile has counted webhook_seq up, so its order is looked at at once; this statement need not see the
 * inbox, of which its snapshot may be older.
 *
 * The list may have been read at any time since the claim, so what happened after that may not be in it: it counts as read when it was claimed, and whoever has asked
 * for the list since gets another look:
 *
 *   look: claim, list ─► a copy is sold ─► bulk sync: export (without the copy), asks for the list ─► look: release ─► bulk sync: read since the export? no
 */
const RELEASE_POLLS = nameStatement(
  `UPDATE remote_order_polls AS p
      SET lease_owner = NULL, lease_until = NULL, next_poll_at = CASE WHEN x.due AND p.next_poll_at <= to_timestamp(x.begun) THEN coalesce(now() + make_interval(secs => x.next), p.next_poll_at) ELSE LEAST(p.next_poll_at, now() + make_interval(secs => x.next)) END,
          webhook_at = CASE WHEN p.webhook_seq <> x.seq THEN now() WHEN x.problem IS NULL THEN NULL WHEN p.webhook_at IS NOT NULL THEN now() + make_interval(secs => x.next) END,
          polled_at = CASE WHEN x.complete THEN GREATEST(p.polled_at, to_timestamp(x.begun)) ELSE p.polled_at END, failures = CASE WHEN x.problem IS NULL THEN 0 ELSE p.failures + 1 END, problem = x.problem
     FROM unnest($2::uuid[], $3::bigint[], $4::float8[], $5::boolean[], $6::text[], $7::boolean[], $8::float8[]) AS x (user_id, seq, next, complete, problem, due, begun)
    WHERE p.user_id = x.user_id AND p.lease_owner = $1::uuid`,
  'release_polls',
);

export async function releasePolls(tx: Transaction, owner: string, ends: readonly PollEnd[]): Promise<void> {
  await tx.$executeRawUnsafe(
    RELEASE_POLLS,
    owner,
    uuidArray(ends.map(({ userId }) => userId)),
    intArray(ends.map(({ webhookSeq }) => webhookSeq)),
    intArray(ends.map(({ nextSeconds }) => nextSeconds)),
    textArray(ends.map(({ complete }) => String(complete))),
    textArray(ends.map(({ problem }) => problem)),
    textArray(ends.map(({ due }) => String(due))),
    intArray(ends.map(({ begunAt }) => begunAt)),
  );
}

const READ_FLOOR = nameStatement(
  `SELECT LEAST(p.through_id,
                (SELECT min(o.order_id) - 1 FROM remote_orders AS o WHERE o.user_id = p.user_id AND o.open AND o.first_seen_at > now() - interval '60 days'),
                (SELECT o.order_id - 1 FROM remote_orders AS o WHERE o.user_id = p.user_id AND o.order_id <= p.through_id ORDER BY o.order_id DESC OFFSET 20 LIMIT 1))::float8 AS floor
     FROM remote_order_polls AS p WHERE p.user_id = $1::uuid AND p.through_id IS NOT NULL`,
  'read_poll_floor',
);

/**
 * Behind which order the list is to be read from: every order that is open is behind it, and the newest ones that are known, because
 * an id may show up later than a higher one. null: nothing has been read yet.
 */
export async function readFloor(database: Database, userId: string): Promise<number | null> {
  const [row] = await database.$queryRawUnsafe<{ floor: number | null }[]>(READ_FLOOR, userId);
  return row?.floor ?? null;
}

/** Makes the list of a seller's orders due now, also where it is being read; answers when that was, by the database's clock, null: they have no account. */
export async function pollNow(tx: Transaction, userId: string): Promise<Date | null> {
  const [asked] = await tx.$queryRawUnsafe<{ at: Date }[]>('UPDATE remote_order_polls SET next_poll_at = now(), failures = 0 WHERE user_id = $1::uuid RETURNING now() AS at', userId);
  return asked?.at ?? null;
}
