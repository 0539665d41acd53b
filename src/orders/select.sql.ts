import type { Database } from '../platform/postgres/index.ts';

/** An order for people, with what it has done here. */
export interface OrderRow {
  readonly orderId: number;
  readonly code: string | null;
  readonly state: string;
  readonly viaZero: boolean | null;
  readonly seenAt: Date;
  readonly open: boolean;
  readonly lines: number;
  readonly copies: number;
  /** Copies out of stock because of it. */
  readonly out: number;
  readonly unmapped: number;
  /** Copies called off of which it is not known whether they are on sale again. */
  readonly unresolved: number;
}

export async function selectOrders(database: Database, userId: string, { unmapped, unresolved, limit }: { unmapped: boolean; unresolved: boolean; limit: number }): Promise<OrderRow[]> {
  return database.$queryRawUnsafe(
    `SELECT o.order_id::float8 AS "orderId", o.code, o.state, o.via_zero AS "viaZero", o.seen_at AS "seenAt", o.open, l.*
       FROM remote_orders AS o CROSS JOIN LATERAL (
         SELECT count(*)::int AS lines, coalesce(sum(quantity), 0)::int AS copies, coalesce(sum(taken - returned), 0)::int AS out, (count(*) FILTER (WHERE item_id IS NULL))::int AS unmapped,
                coalesce(sum(cancelled - relisted - kept), 0)::int AS unresolved
           FROM remote_order_lines AS x WHERE x.user_id = o.user_id AND x.order_id = o.order_id) AS l
      WHERE o.user_id = $1::uuid AND (NOT $2::bool OR l.unmapped > 0) AND (NOT $3::bool OR l.unresolved > 0)
      ORDER BY o.order_id DESC LIMIT $4::int`,
    userId,
    unmapped,
    unresolved,
    limit,
  );
}

/** When a seller's orders were looked at, and will be. */
export interface PollRow {
  readonly nextPollAt: Date;
  readonly webhookAt: Date | null;
  readonly polledAt: Date | null;
  readonly failures: number;
  readonly problem: string | null;
  /** Webhooks whose orders have not been read yet. */
  readonly waiting: number;
}

export async function selectPoll(database: Database, userId: string): Promise<PollRow | undefined> {
  const [row] = await database.$queryRawUnsafe<PollRow[]>(
    `SELECT p.next_poll_at AS "nextPollAt", p.webhook_at AS "webhookAt", p.polled_at AS "polledAt", p.failures, p.problem,
            (SELECT count(*)::int FROM webhook_inbox AS w WHERE w.user_id = p.user_id AND w.processed_at IS NULL) AS waiting
       FROM remote_order_polls AS p WHERE p.user_id = $1::uuid`,
    userId,
  );
  return row;
}

export interface OrderCounts {
  /** For how long the oldest list of orders has been due without being read, seconds; a look that came to nothing reads none, and is due again soon. */
  readonly overdueSeconds: number;
  readonly failing: number;
  /** Lines tied to nothing here, of orders seen within a week. */
  readonly unmapped: number;
  readonly unresolved: number;
  /** Orders in states nobody here knows, and those that could not be read. */
  readonly undecided: number;
  readonly webhooksWaiting: number;
}

/** For gauges; each count reads an index of what is open, not of every order there ever was. Lists are read every `pollSeconds`. */
export async function countOrders(database: Database, pollSeconds: number): Promise<OrderCounts> {
  const [row] = await database.$queryRawUnsafe<OrderCounts[]>(
    `SELECT (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(LEAST(p.next_poll_at, p.webhook_at, CASE WHEN p.failures > 0 THEN coalesce(p.polled_at + make_interval(secs => $1::float8), s.added_at) END)))), 0)::float8
               FROM remote_order_polls AS p JOIN marketplace_sellers AS s ON s.user_id = p.user_id AND s.status = 'active') AS "overdueSeconds",
            (SELECT count(*)::int FROM remote_order_polls WHERE failures > 0) AS failing,
            (SELECT count(*)::int FROM remote_order_lines AS l JOIN remote_orders AS o ON o.user_id = l.user_id AND o.order_id = l.order_id
              WHERE l.item_id IS NULL AND o.first_seen_at > now() - interval '7 days') AS unmapped,
            (SELECT coalesce(sum(cancelled - relisted - kept), 0)::int FROM remote_order_lines WHERE cancelled > relisted + kept) AS unresolved,
            (SELECT count(*)::int FROM remote_orders WHERE open AND state NOT IN ('paid', 'sent', 'hub_pending', 'request_for_cancel')) AS undecided,
            (SELECT count(*)::int FROM webhook_inbox WHERE processed_at IS NULL) AS "webhooksWaiting"`,
    pollSeconds,
  );
  if (row === undefined) throw new Error('a query without a condition answered with nothing');
  return row;
}
