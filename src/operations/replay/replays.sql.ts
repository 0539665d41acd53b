import { intArray, uuidArray, type Database, type Transaction } from '../../platform/postgres/index.ts';
import type { Moves } from './plan.ts';

/** A replay as it is written down; who asked for it and why are the operator's action of its id. */
export interface ReplayRow {
  readonly id: bigint;
  readonly group: string;
  readonly topic: string;
  /** The target, as it was asked for. */
  readonly how: string;
  readonly offsets: Moves;
  /** By another tool than ours. */
  readonly detected: boolean;
  readonly who: string | null;
  readonly reason: string | null;
  readonly begunAt: Date;
  readonly setAt: Date | null;
  readonly startedAt: Date | null;
  readonly caughtUpAt: Date | null;
  readonly undoneAt: Date | null;
}

/** What `operator_actions` calls them. */
export const APPLIED = 'replay.apply';
export const UNDONE = 'replay.undo';

const COLUMNS = `r.id, r.group_id AS "group", r.topic, r.how, r.offsets, r.detected, a.who, a.reason, r.begun_at AS "begunAt", r.set_at AS "setAt",
                 r.started_at AS "startedAt", r.caught_up_at AS "caughtUpAt", r.undone_at AS "undoneAt"
            FROM replays AS r LEFT JOIN operator_actions AS a ON a.target = r.id::text AND a.action = '${APPLIED}'`;

/** Written down before Kafka is asked, so that the old offsets are never lost. */
export async function insertReplay(tx: Transaction, replay: Pick<ReplayRow, 'group' | 'topic' | 'how' | 'offsets'>): Promise<bigint> {
  const rows = await tx.$queryRawUnsafe<{ id: bigint }[]>('INSERT INTO replays (detected, group_id, topic, how, offsets) VALUES (false, $1, $2, $3, $4::jsonb) RETURNING id', replay.group, replay.topic, replay.how, JSON.stringify(replay.offsets));
  return rows[0]?.id ?? 0n;
}

/** `set`: Kafka has the offsets. `undone`: it has the old ones. */
export async function markReplay(tx: Transaction, id: bigint, what: 'set' | 'undone'): Promise<void> {
  await tx.$executeRawUnsafe(`UPDATE replays SET ${what === 'set' ? 'set_at' : 'undone_at'} = clock_timestamp() WHERE id = $1`, id);
}

/** Newest first. `open`: only those that are neither undone nor over. */
export async function selectReplays(database: Database, filter: { group: string | null; open: boolean; limit: number }): Promise<ReplayRow[]> {
  return database.$queryRawUnsafe(
    `SELECT ${COLUMNS} WHERE ($1::text IS NULL OR r.group_id = $1) AND (NOT $2 OR (r.caught_up_at IS NULL AND r.undone_at IS NULL)) ORDER BY r.id DESC LIMIT $3`,
    filter.group,
    filter.open,
    filter.limit,
  );
}

export async function selectReplay(database: Database, id: bigint): Promise<ReplayRow | undefined> {
  const rows = await database.$queryRawUnsafe<ReplayRow[]>(`SELECT ${COLUMNS} WHERE r.id = $1`, id);
  return rows[0];
}

/** Records a second of the last replay of the group that was large enough to tell, from its first progress to its end; null: none was. */
export async function selectReplayRate(database: Database, group: string, leastRecords: number): Promise<number | null> {
  const rows = await database.$queryRawUnsafe<{ rate: number }[]>(
    `SELECT (n.records / extract(epoch FROM r.caught_up_at - r.started_at))::float8 AS rate
       FROM replays AS r CROSS JOIN LATERAL (SELECT sum((o.value ->> 0)::numeric - (o.value ->> 1)::numeric) AS records FROM jsonb_each(r.offsets) AS o WHERE o.value ->> 0 IS NOT NULL) AS n
      WHERE r.group_id = $1 AND r.undone_at IS NULL AND r.caught_up_at > r.started_at AND n.records >= $2
      ORDER BY r.id DESC LIMIT 1`,
    group,
    leastRecords,
  );
  return rows[0]?.rate ?? null;
}

/** A replay that is not over. */
export interface OpenReplay {
  readonly id: bigint;
  readonly offsets: Moves;
  /** Kafka has its offsets: before that, where the group stands says nothing about it. */
  readonly set: boolean;
  readonly started: boolean;
}

/** Replays of the group that are not over, and the furthest it was ever seen to stand. */
export async function readRemembered(database: Database, group: string, topic: string): Promise<{ furthest: Map<number, bigint>; open: OpenReplay[] }> {
  const rows = await database.$queryRawUnsafe<{ partition: number | null; furthest: bigint | null; id: bigint | null; offsets: Moves | null; set: boolean | null; started: boolean | null }[]>(
    `SELECT partition, furthest, NULL::bigint AS id, NULL::jsonb AS offsets, NULL::boolean AS set, NULL::boolean AS started FROM group_positions WHERE group_id = $1 AND topic = $2
     UNION ALL
     SELECT NULL, NULL, id, offsets, set_at IS NOT NULL, started_at IS NOT NULL FROM replays WHERE group_id = $1 AND topic = $2 AND caught_up_at IS NULL AND undone_at IS NULL`,
    group,
    topic,
  );
  return {
    furthest: new Map(rows.flatMap(({ partition, furthest }) => (partition === null || furthest === null ? [] : [[partition, furthest] as const]))),
    open: rows.flatMap(({ id, offsets, set, started }) => (id === null || offsets === null ? [] : [{ id, offsets, set: set === true, started: started === true }])),
  };
}

/** `anew`: the topic was made anew under its name, so that what was remembered says nothing. */
export async function writePositions(database: Writer, group: string, topic: string, positions: readonly { partition: number; furthest: bigint; anew: boolean }[]): Promise<void> {
  await database.$executeRawUnsafe(
    `INSERT INTO group_positions AS p (group_id, topic, partition, furthest)
     SELECT $1, $2, k.partition, k.furthest FROM unnest($3::int[], $4::bigint[]) AS k (partition, furthest)
         ON CONFLICT (group_id, topic, partition) DO UPDATE
            SET furthest = CASE WHEN p.partition = ANY ($5::int[]) THEN EXCLUDED.furthest ELSE greatest(p.furthest, EXCLUDED.furthest) END, updated_at = clock_timestamp()`,
    group,
    topic,
    intArray(positions.map(({ partition }) => partition)),
    intArray(positions.map(({ furthest }) => furthest)),
    intArray(positions.filter(({ anew }) => anew).map(({ partition }) => partition)),
  );
}

/** A reset by somebody else's tool; partitions seen by several instances make one replay. Whether it is a new one. */
export async function insertDetected(database: Writer, group: string, topic: string, offsets: Moves): Promise<{ id: bigint; first: boolean }> {
  const rows = await database.$queryRawUnsafe<{ id: bigint; first: boolean }[]>(
    `INSERT INTO replays AS r (detected, set_at, group_id, topic, how, offsets) VALUES (true, now(), $1, $2, 'by another tool than brx-sync', $3::jsonb)
         ON CONFLICT (group_id, topic) WHERE detected AND caught_up_at IS NULL AND undone_at IS NULL DO UPDATE SET offsets = r.offsets || EXCLUDED.offsets
      RETURNING id, xmax = 0 AS first`,
    group,
    topic,
    JSON.stringify(offsets),
  );
  return rows[0] ?? { id: 0n, first: false };
}

export async function markProgress(database: Writer, progress: { started: readonly bigint[]; caughtUp: readonly bigint[] }): Promise<void> {
  await database.$executeRawUnsafe(
    `UPDATE replays SET started_at = coalesce(started_at, clock_timestamp()), caught_up_at = CASE WHEN id = ANY ($2::bigint[]) THEN clock_timestamp() END
      WHERE id = ANY ($1::bigint[] || $2::bigint[]) AND caught_up_at IS NULL AND undone_at IS NULL`,
    intArray(progress.started),
    intArray(progress.caughtUp),
  );
}

/** What an event is looked up by. */
export interface Key {
  readonly partition: number;
  readonly offset: number;
  /** Null of what could not be decoded. */
  readonly eventId: string | null;
  readonly userId: string | null;
  /** Of a PurchaseRequested. */
  readonly purchaseId: string | null;
}

/** Which of these records are known: applied or waiting (also as the same purchase under another id), or dead letters by their place. */
export async function readKnown(database: Database, topic: string, keys: readonly Key[]): Promise<{ duplicates: Set<number>; buried: Set<number> }> {
  const rows = await database.$queryRawUnsafe<{ n: number; duplicate: boolean; buried: boolean }[]>(
    `SELECT (k.n - 1)::int AS n,
            EXISTS (SELECT FROM stock_ledger AS l WHERE l.event_id = k.event_id) OR EXISTS (SELECT FROM parked_events AS e WHERE e.event_id = k.event_id)
              OR EXISTS (SELECT FROM purchase_sagas AS s WHERE s.user_id = k.user_id AND s.purchase_id = k.purchase_id) AS duplicate,
            EXISTS (SELECT FROM dead_letters AS d WHERE d.topic = $1 AND d.partition = k.partition AND d."offset" = k."offset") AS buried
       FROM unnest($2::int[], $3::bigint[], $4::uuid[], $5::uuid[], $6::uuid[]) WITH ORDINALITY AS k (partition, "offset", event_id, user_id, purchase_id, n)`,
    topic,
    intArray(keys.map(({ partition }) => partition)),
    intArray(keys.map(({ offset }) => offset)),
    uuidArray(keys.map(({ eventId }) => eventId)),
    uuidArray(keys.map(({ userId }) => userId)),
    uuidArray(keys.map(({ purchaseId }) => purchaseId)),
  );
  return { duplicates: new Set(rows.filter(({ duplicate }) => duplicate).map(({ n }) => n)), buried: new Set(rows.filter(({ buried }) => buried).map(({ n }) => n)) };
}

/** A statement on its own is a transaction. */
type Writer = Database & Pick<Transaction, '$executeRawUnsafe'>;
