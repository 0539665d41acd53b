import type pg from 'pg';
import type { Postgres } from '../../platform/postgres/index.ts';

/** Shadow tables stand in a schema of their own, in the same database: what differs is a join away. */
const PREFIX = 'brx_rebuild_';
const LOCK = 72_707_371;

/** Only names that are made here ever get into a statement. */
function checked(schema: string): string {
  if (!/^brx_rebuild_[a-z0-9]{1,40}$/.test(schema)) throw new TypeError(`${schema} is no schema of a rebuild`);
  return schema;
}

export const schemaOf = (id: string): string => checked(`${PREFIX}${id}`);

/** Holds `client` the right to rebuild; false if somebody else is at it. It goes with the connection. */
export async function takeRebuild(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [LOCK]);
  return rows[0]?.mine === true;
}

export async function leaveRebuild(client: pg.ClientBase): Promise<void> {
  await client.query('SELECT pg_advisory_unlock($1)', [LOCK]);
}

/** Makes the schema, and removes those of rebuilds that were killed or kept. */
export async function createShadow(client: pg.ClientBase, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(`SELECT nspname AS name FROM pg_namespace WHERE starts_with(nspname, '${PREFIX}')`);
  for (const { name } of rows) await dropShadow(client, name);
  await client.query(`CREATE SCHEMA ${checked(schema)}`);
}

export async function dropShadow(client: pg.ClientBase, schema: string): Promise<void> {
  await client.query(`DROP SCHEMA IF EXISTS ${checked(schema)} CASCADE`);
}

export async function serverNow(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ now: string }>('SELECT clock_timestamp()::text AS now');
  return rows[0]?.now ?? '';
}

/** Records that a rebuild must leave out, because not the topic decided what came of them but a clock or an operator. */
export async function readDecided(prisma: Postgres['prisma'], topic: string): Promise<{ places: Set<string>; events: Set<string> }> {
  const letters = await prisma.$queryRawUnsafe<{ place: string }[]>(`SELECT partition || '/' || "offset" AS place FROM dead_letters WHERE topic = $1 AND reason IN ('too_old', 'discarded')`, topic);
  const waiting = await prisma.$queryRawUnsafe<{ event_id: string }[]>('SELECT event_id FROM parked_events WHERE topic = $1', topic);
  return { places: new Set(letters.map(({ place }) => place)), events: new Set(waiting.map((row) => row.event_id)) };
}

export async function countRefused(client: pg.ClientBase, schema: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${checked(schema)}.parked_events`);
  return rows[0]?.n ?? 0;
}

/** Something that is not the same on both sides. */
export interface RebuildDifference {
  readonly what: 'item' | 'ledger' | 'dead_letter';
  readonly problem: 'missing' | 'extra' | 'different';
  readonly user_id: string | null;
  readonly item_id: string | null;
  /** The event, or `partition/offset` of a dead letter; the last event of an item. */
  readonly id: string;
  /** As rebuilt from the topic. */
  readonly expected: unknown;
  /** In the tables. */
  readonly found: unknown;
}

export interface Compared {
  readonly items: number;
  readonly ledgerRows: number;
  readonly deadLetters: number;
  /** With purchases or discarded events: what sales and operators did to them is not in the topic. */
  readonly itemsOfSales: number;
  /** Imported by bulk sync, or set when drift was mended: that is on no topic of events either. */
  readonly itemsOfImports: number;
  /** Changed since the rebuild began: their rows from before are compared, not what they have come to. */
  readonly movedOn: number;
  readonly total: number;
  readonly first: readonly RebuildDifference[];
}

const FACTS = ['user_id', 'item_id', 'kind', 'quantity', 'version', 'occurred_at'] as const;
const EFFECTS = ['previous_event_id', 'outcome', 'delta', 'on_hand', 'cause'] as const;
const ITEM = ['blueprint_id', 'on_hand', 'held', 'price_cents', 'currency', 'properties', 'version', 'flags', 'last_event_id'] as const;
const row = (of: string, columns: readonly string[]): string => `jsonb_build_object(${columns.map((column) => `'${column}', ${of}.${column}`).join(', ')})`;
const differ = (columns: readonly string[]): string => `(${columns.map((column) => `n.${column}`).join(', ')}) IS DISTINCT FROM (${columns.map((column) => `o.${column}`).join(', ')})`;

/** What an item of sales has left decides whether an event takes it below zero. */
const notOfSale = (ledger: 'old' | 'new'): string => `NOT EXISTS (SELECT FROM ${ledger} AS l JOIN sold AS s ON (s.user_id, s.item_id) = (l.user_id, l.item_id) WHERE l.event_id = d.event_id)`;

/**
 * All that differs between the tables and their shadow, in the snapshot of `client`. `began`: what was recorded since is none of the
 * rebuild's business; whatever was recorded before came from a record it has read.
 *
 * Of such an item (`itemsOfSales`, `itemsOfImports`) only what its producer sent is compared: where a sale's own steps, and imports, stand between its events, and with them
 * delta and on_hand of what follows, is not in the topic; and that the item is what its last ledger row left of it.
 */
export async function compareShadow(client: pg.ClientBase, given: { schema: string; topic: string; began: string; apart: readonly string[]; ends: readonly { partition: number; end: number }[]; most: number }): Promise<Compared> {
  const shadow = checked(given.schema);
  const values = [given.began, given.apart, given.topic, given.ends.map(({ partition }) => partition), given.ends.map(({ end }) => end), given.most];
  const { rows } = await client.query<{ counts: Omit<Compared, 'first' | 'total'>; total: number; first: RebuildDifference[] | null }>(
    `WITH apart AS MATERIALIZED (SELECT unnest($2::uuid[]) AS user_id),
     old AS NOT MATERIALIZED (SELECT l.* FROM stock_ledger AS l WHERE l.user_id NOT IN (SELECT user_id FROM apart)
               AND NOT EXISTS (SELECT FROM dead_letters AS d WHERE d.event_id = l.event_id AND d.topic = $3 AND d.reason = 'discarded')),
     new AS NOT MATERIALIZED (SELECT l.* FROM ${shadow}.stock_ledger AS l WHERE l.user_id NOT IN (SELECT user_id FROM apart)),
     ours AS MATERIALIZED (SELECT l.event_id, l.user_id, l.item_id FROM old AS l WHERE l.kind = 'S' AND l.cause IN ('import', 'reconcile') AND NOT EXISTS (SELECT FROM new AS n WHERE n.event_id = l.event_id)),
     sold AS MATERIALIZED (SELECT user_id, item_id FROM ours UNION SELECT user_id, item_id FROM old WHERE kind NOT IN ('S', 'A', 'R') UNION SELECT user_id, item_id FROM new WHERE kind NOT IN ('S', 'A', 'R')
               UNION SELECT l.user_id, l.item_id FROM stock_ledger AS l JOIN dead_letters AS d ON d.event_id = l.event_id AND d.topic = $3 AND d.reason = 'discarded'),
     ledger AS MATERIALIZED (
       SELECT coalesce(n.user_id, o.user_id) AS user_id, coalesce(n.item_id, o.item_id) AS item_id, coalesce(n.event_id, o.event_id) AS event_id,
              CASE WHEN o.event_id IS NULL THEN 'missing' WHEN n.event_id IS NULL THEN 'extra' WHEN ${differ(FACTS)} OR (s.item_id IS NULL AND ${differ(EFFECTS)}) THEN 'different' END AS problem,
              CASE WHEN n.event_id IS NOT NULL THEN ${row('n', [...FACTS, ...EFFECTS])} END AS expected, CASE WHEN o.event_id IS NOT NULL THEN ${row('o', [...FACTS, ...EFFECTS])} END AS found
         FROM (SELECT * FROM new WHERE kind IN ('S', 'A', 'R')) AS n
         FULL JOIN (SELECT * FROM old WHERE kind IN ('S', 'A', 'R') AND event_id NOT IN (SELECT event_id FROM ours)) AS o ON o.event_id = n.event_id
         LEFT JOIN sold AS s ON (s.user_id, s.item_id) = (coalesce(n.user_id, o.user_id), coalesce(n.item_id, o.item_id))
        WHERE n.event_id IS NOT NULL OR o.recorded_at < $1::timestamptz),
     items AS MATERIALIZED (
       SELECT coalesce(n.user_id, o.user_id) AS user_id, coalesce(n.item_id, o.item_id) AS item_id, coalesce(n.last_event_id, o.last_event_id) AS event_id,
              o.last_event_id IS DISTINCT FROM n.last_event_id AND EXISTS (SELECT FROM stock_ledger AS l WHERE l.event_id = o.last_event_id AND l.recorded_at >= $1::timestamptz) AS moved_on,
              CASE WHEN o.item_id IS NULL THEN 'missing' WHEN n.item_id IS NULL THEN 'extra' WHEN ${differ(ITEM)} THEN 'different' END AS problem,
              CASE WHEN n.item_id IS NOT NULL THEN ${row('n', ITEM)} END AS expected, CASE WHEN o.item_id IS NOT NULL THEN ${row('o', ITEM)} END AS found
         FROM (SELECT * FROM ${shadow}.inventory_items WHERE user_id NOT IN (SELECT user_id FROM apart)) AS n
         FULL JOIN (SELECT * FROM inventory_items WHERE user_id NOT IN (SELECT user_id FROM apart)) AS o ON (o.user_id, o.item_id) = (n.user_id, n.item_id)
        WHERE NOT EXISTS (SELECT FROM sold AS s WHERE (s.user_id, s.item_id) = (coalesce(n.user_id, o.user_id), coalesce(n.item_id, o.item_id)))),
     left_of AS MATERIALIZED (
       SELECT s.user_id, s.item_id, l.event_id, 'different' AS problem, jsonb_build_object('on_hand', l.on_hand) AS expected, jsonb_build_object('on_hand', i.on_hand) AS found
         FROM sold AS s JOIN inventory_items AS i ON (i.user_id, i.item_id) = (s.user_id, s.item_id) JOIN stock_ledger AS l ON l.event_id = i.last_event_id
        WHERE (l.user_id, l.item_id, l.on_hand) IS DISTINCT FROM (i.user_id, i.item_id, i.on_hand)
       UNION ALL SELECT o.user_id, o.item_id, min(o.event_id::text)::uuid, 'missing', '{}', NULL
         FROM ours AS o WHERE NOT EXISTS (SELECT FROM inventory_items AS i WHERE (i.user_id, i.item_id) = (o.user_id, o.item_id)) GROUP BY o.user_id, o.item_id),
     letters AS MATERIALIZED (
       SELECT coalesce(n.user_id, o.user_id) AS user_id, coalesce(n.partition, o.partition) || '/' || coalesce(n."offset", o."offset") AS place,
              CASE WHEN o.id IS NULL THEN 'missing' WHEN n.id IS NULL THEN 'extra' WHEN n.reason <> o.reason THEN 'different' END AS problem, n.reason AS expected, o.reason AS found
         FROM (SELECT * FROM ${shadow}.dead_letters AS d WHERE topic = $3 AND (user_id IS NULL OR user_id NOT IN (SELECT user_id FROM apart)) AND ${notOfSale('new')}) AS n
         FULL JOIN (SELECT d.* FROM dead_letters AS d JOIN unnest($4::int[], $5::bigint[]) AS e (partition, "end") ON e.partition = d.partition AND d."offset" < e."end"
                     WHERE d.topic = $3 AND d.reason NOT IN ('too_old', 'discarded') AND (d.user_id IS NULL OR d.user_id NOT IN (SELECT user_id FROM apart)) AND ${notOfSale('old')}) AS o
           ON (o.partition, o."offset") = (n.partition, n."offset")),
     differences AS MATERIALIZED (
       SELECT 1 AS n, 'item' AS what, problem, user_id, item_id, event_id::text AS id, expected, found FROM items WHERE problem IS NOT NULL AND NOT moved_on
       UNION ALL SELECT 1, 'item', problem, user_id, item_id, event_id::text, expected, found FROM left_of
       UNION ALL SELECT 2, 'ledger', problem, user_id, item_id, event_id::text, expected, found FROM ledger WHERE problem IS NOT NULL
       UNION ALL SELECT 3, 'dead_letter', problem, user_id, NULL, place, to_jsonb(expected), to_jsonb(found) FROM letters WHERE problem IS NOT NULL)
     SELECT jsonb_build_object('items', (SELECT count(*) FROM items), 'ledgerRows', (SELECT count(*) FROM ledger), 'deadLetters', (SELECT count(*) FROM letters),
                               'itemsOfSales', (SELECT count(*) FROM (SELECT * FROM sold EXCEPT SELECT user_id, item_id FROM ours) AS x), 'itemsOfImports', (SELECT count(*) FROM (SELECT DISTINCT user_id, item_id FROM ours) AS x), 'movedOn', (SELECT count(*) FROM items WHERE moved_on)) AS counts,
            (SELECT count(*)::int FROM differences) AS total,
            (SELECT jsonb_agg(to_jsonb(d) - 'n' ORDER BY d.n, d.user_id, d.id) FROM (SELECT * FROM differences ORDER BY n, user_id, id LIMIT $6) AS d) AS first`,
    values,
  );
  const [answer] = rows;
  if (answer === undefined) throw new TypeError('a comparison without an answer');
  return { ...answer.counts, total: answer.total, first: answer.first ?? [] };
}
