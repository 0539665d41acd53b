import { intArray, jsonText, nameStatement, textArray, uuidArray, type Transaction } from '../../platform/postgres/index.ts';
import type { Listing } from '../listings/index.ts';
import type { Problem, Stock } from '../listing-sync/index.ts';
import type { Evidence } from '../operations/index.ts';
import type { Intent, Result, Sibling, Work } from './work.ts';

/** One row of what is due, as the database has it. Times in milliseconds. */
interface WorkRow {
  n: number;
  id: string;
  userId: string;
  purchaseId: string | null;
  kind: Work['kind'];
  quantity: number;
  state: Work['state'];
  createdAt: number;
  attempts: number;
  productId: number | null;
  readAt: number | null;
  before: number | null;
  target: number | null;
  marked: boolean | null;
  siblings: Sibling[] | null;
  blueprintId: number | null;
  sentAt: number | null;
  jobId: string | null;
  traceparent: string | null;
  taken: number | null;
  itemId: string;
  listing: Listing | null;
  stock: Stock | null;
  problem: Problem | null;
}

const MS = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;

/** What an operation `w` of an item is about: listing, stock where listing sync is on, what was wrong. */
const ABOUT = `
          w.operation_id AS id, w.user_id AS "userId", w.item_id AS "itemId", w.purchase_id AS "purchaseId", w.kind, w.quantity, w.state, ${MS('w.created_at')} AS "createdAt", w.attempts,
          w.product_id::float8 AS "productId", ${MS('w.read_at')} AS "readAt", w.before, w.target, w.marked, w.siblings, ${MS('w.sent_at')} AS "sentAt", w.job_id AS "jobId", w.blueprint_id::float8 AS "blueprintId",
          CASE WHEN w.purchase_id IS NOT NULL THEN (SELECT z.traceparent FROM purchase_sagas AS z WHERE z.purchase_id = w.purchase_id AND z.user_id = w.user_id) END AS traceparent,
          CASE WHEN w.returns IS NOT NULL THEN (SELECT t.taken FROM marketplace_operations AS t WHERE t.operation_id = w.returns) END AS taken,
          CASE WHEN l.item_id IS NOT NULL THEN json_build_object('userId', l.user_id, 'itemId', l.item_id, 'productId', l.product_id, 'blueprintId', l.blueprint_id, 'quantity', l.quantity,
            'priceCents', l.price_cents, 'currency', l.currency, 'confirmedAt', ${MS('l.confirmed_at')}, 'operationId', l.operation_id, 'gone', l.gone,
            'product', l.product, 'soldLines', l.sold_lines, 'mismatch', l.mismatch, 'unaccounted', l.unaccounted) END AS listing,
          CASE WHEN s.listing_sync AND i.item_id IS NOT NULL THEN json_build_object('onHand', i.on_hand + coalesce(m.copies, 0), 'buffer', s.buffer, 'blueprintId', i.blueprint_id,
            'priceCents', i.price_cents, 'currency', i.currency, 'properties', i.properties, 'eventId', i.last_event_id) END AS stock,
          CASE WHEN p.item_id IS NOT NULL THEN json_build_object('kind', p.kind, 'said', p.said, 'wanted', p.wanted) END AS problem`;

/*
 * What is on hand is what is there but for sales under way: one that has taken its copies from CardTrader has not taken them from stock yet, one that is
 * being undone may have given them back there and not here.
 */
const WITH_ALL = `
     JOIN marketplace_sellers AS s ON s.user_id = w.user_id
     LEFT JOIN marketplace_listings AS l ON l.user_id = w.user_id AND l.item_id = w.item_id
     LEFT JOIN inventory_items AS i ON i.user_id = w.user_id AND i.item_id = w.item_id
     LEFT JOIN marketplace_problems AS p ON p.user_id = w.user_id AND p.item_id = w.item_id`;

const UNDER_WAY = (users: string): string => `
   SELECT t.user_id, t.item_id, sum(CASE WHEN g.sold = (r.operation_id IS NOT NULL) THEN CASE WHEN g.sold THEN t.quantity ELSE -t.quantity END ELSE 0 END)::int AS copies
     FROM ${users}
     JOIN purchase_sagas AS g ON g.user_id = u.user_id AND g.next_action_at IS NOT NULL
     JOIN marketplace_operations AS t ON t.purchase_id = g.purchase_id AND t.user_id = g.user_id AND t.kind = 'TAKE' AND t.state = 'APPLIED'
     LEFT JOIN marketplace_operations AS r ON r.purchase_id = g.purchase_id AND r.user_id = g.user_id AND r.returns = t.operation_id AND r.state = 'APPLIED'
    GROUP BY 1, 2`;

const READ_DUE = nameStatement(
  `WITH under_way AS MATERIALIZED (${UNDER_WAY('unnest($1::uuid[]) AS u (user_id) JOIN marketplace_sellers AS y ON y.user_id = u.user_id AND y.listing_sync')})
   SELECT k.n::int AS n, ${ABOUT}
     FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS k (user_id, slots, n)
    CROSS JOIN LATERAL (
      SELECT head.*, row_number() OVER (ORDER BY (head.kind = 'LOWER' AND head.due_at = head.created_at) DESC, head.due_at, head.seq) AS place
        FROM (SELECT DISTINCT ON (o.item_id) o.*
                FROM marketplace_operations AS o
               WHERE o.user_id = k.user_id AND o.due_at IS NOT NULL AND NOT (o.kind = 'SYNC' AND o.state = 'PENDING')
               ORDER BY o.item_id, (o.state IN ('SENT', 'UNKNOWN')) DESC, (o.kind = 'LOWER') DESC, o.seq) AS head
       WHERE head.due_at <= now() AND head.kind <> 'SYNC'
         AND NOT EXISTS (SELECT FROM unnest($3::uuid[], $4::uuid[]) AS busy (user_id, item_id) WHERE busy.user_id = head.user_id AND busy.item_id = head.item_id)) AS w
    ${WITH_ALL}
     LEFT JOIN under_way AS m ON m.user_id = w.user_id AND m.item_id = w.item_id
    WHERE w.place <= k.slots
    ORDER BY k.n, w.place`,
  'read_due_operations',
);

/** Who asks for work, for how much, and what is at work already. */
export interface Asking {
  readonly userId: string;
  readonly slots: number;
  readonly busyItems: readonly string[];
}

/**
 * What is to be done next for sales, for each of these sellers at most `slots`: of each item the first outstanding operation, if it is due and nobody is at
 * work on the item. A LOWER nobody has tried yet comes first, then what has been due longest: one that fails again and again goes to the end of the line each time,
 * and so is not the only one that is ever tried while the circuit lets one through. A SYNC that only waits holds up no sale. Same order as asked.
 */
export async function readDue(tx: Transaction, sellers: readonly Asking[]): Promise<Work[][]> {
  if (sellers.length === 0) return [];
  const busy = sellers.flatMap(({ userId, busyItems }) => busyItems.map((itemId) => ({ userId, itemId })));
  const rows = await tx.$queryRawUnsafe<WorkRow[]>(READ_DUE, uuidArray(sellers.map(({ userId }) => userId)), intArray(sellers.map(({ slots }) => slots)), uuidArray(busy.map(({ userId }) => userId)), uuidArray(busy.map(({ itemId }) => itemId)));
  return grouped(sellers.length, rows);
}

/*
 * More than is asked for by as many as are at work, who may be among them: to leave them out here would be to compare each with each.
 * First what was sent and is not settled, then what waits, oldest first, unless something else of the item is outstanding.
 */
const READ_SYNC_DUE = nameStatement(
  `WITH under_way AS MATERIALIZED (${UNDER_WAY('unnest($1::uuid[]) AS u (user_id)')})
   SELECT k.n::int AS n, ${ABOUT}
     FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS k (user_id, slots, n)
    CROSS JOIN LATERAL (
      SELECT next.* FROM (
        (SELECT o.*, 1 AS class FROM marketplace_operations AS o
          WHERE o.user_id = k.user_id AND o.due_at IS NOT NULL AND NOT (o.kind = 'SYNC' AND o.state = 'PENDING') AND o.kind = 'SYNC' AND o.due_at <= now()
          ORDER BY o.seq LIMIT k.slots)
        UNION ALL
        (SELECT o.*, 2 AS class FROM marketplace_operations AS o
          WHERE o.user_id = k.user_id AND o.kind = 'SYNC' AND o.state = 'PENDING' AND o.due_at <= now()
            AND EXISTS (SELECT FROM marketplace_sellers AS y WHERE y.user_id = k.user_id AND y.listing_sync)
            AND NOT EXISTS (SELECT FROM marketplace_operations AS b WHERE b.user_id = o.user_id AND b.item_id = o.item_id AND b.due_at IS NOT NULL AND NOT (b.kind = 'SYNC' AND b.state = 'PENDING'))
          ORDER BY o.seq LIMIT k.slots)) AS next
       ORDER BY next.class, next.seq LIMIT k.slots) AS w
    ${WITH_ALL}
     LEFT JOIN under_way AS m ON m.user_id = w.user_id AND m.item_id = w.item_id
    ORDER BY k.n, w.class, w.seq`,
  'read_due_syncs',
);

/** The same of SYNCs: for each seller at most `slots`. Same order as asked. */
export async function readSyncDue(tx: Transaction, sellers: readonly Asking[]): Promise<Work[][]> {
  if (sellers.length === 0) return [];
  const rows = await tx.$queryRawUnsafe<WorkRow[]>(READ_SYNC_DUE, uuidArray(sellers.map(({ userId }) => userId)), intArray(sellers.map(({ slots, busyItems }) => slots + busyItems.length)));
  return grouped(sellers.length, rows).map((due, index) => {
    const { slots = 0, busyItems = [] } = sellers[index] ?? {};
    const busy = new Set(busyItems);
    return due.filter(({ listing }) => !busy.has(listing.itemId)).slice(0, slots);
  });
}

function grouped(length: number, rows: readonly WorkRow[]): Work[][] {
  const due = Array.from({ length }, (): Work[] => []);
  for (const row of rows) due[row.n - 1]?.push(workOf(row));
  return due;
}

function workOf({ productId, readAt, before, target, marked, siblings, blueprintId, ...row }: WorkRow): Work {
  const intent = readAt === null || before === null || target === null || marked === null ? null : { productId, readAt, before, target, marked, siblings, blueprintId };
  const { id, userId, itemId, purchaseId, kind, quantity, state, createdAt, attempts, listing, stock, problem, taken, jobId, sentAt, traceparent } = row;
  return { id, userId, purchaseId, kind, quantity, state, createdAt, attempts, intent, listing: listing ?? neverListed(userId, itemId, createdAt), listed: listing !== null, stock, problem, taken, jobId, sentAt, traceparent };
}

const neverListed = (userId: string, itemId: string, at: number): Listing => ({
  userId,
  itemId,
  productId: 0,
  blueprintId: 0,
  quantity: 0,
  priceCents: 0,
  currency: null,
  confirmedAt: at,
  operationId: null,
  gone: true,
  product: { name: null, description: null, graded: null, properties: {}, userDataField: itemId },
  soldLines: [],
  mismatch: null,
  unaccounted: 0,
});

const INTENTS = 'jsonb_to_recordset($1::jsonb) AS g (operation_id uuid, user_id uuid, epoch bigint, product_id bigint, read_at float8, before int, target int, marked boolean, siblings jsonb, blueprint_id bigint, seen uuid, bulk boolean)';
const OF_CLAIMED = 'JOIN marketplace_sellers AS s ON s.user_id = g.user_id AND s.lease_epoch = g.epoch AND s.lease_owner = $2::uuid';

/** `x`: the intents of sellers that are held; `also`: what else must hold of one. */
const markSent = (x: string, also: string): string =>
  `UPDATE marketplace_operations AS o
      SET state = 'SENT', attempts = o.attempts + 1, sent_at = now(), due_at = now() + make_interval(secs => $3::float8), lease_epoch = x.epoch,
          product_id = coalesce(x.product_id, o.product_id), read_at = to_timestamp(x.read_at / 1000.0), before = x.before, target = x.target, marked = x.marked, siblings = x.siblings, blueprint_id = x.blueprint_id, job_id = CASE WHEN x.bulk THEN '' END
     FROM ${x}
    WHERE o.operation_id = x.operation_id AND o.state = 'PENDING'
      AND (x.seen IS NULL OR EXISTS (SELECT FROM inventory_items AS i WHERE i.user_id = o.user_id AND i.item_id = o.item_id AND i.last_event_id = x.seen))
      AND NOT EXISTS (SELECT FROM marketplace_operations AS b WHERE o.kind = 'SYNC' AND b.user_id = o.user_id AND b.item_id = o.item_id AND b.state IN ('SENT', 'UNKNOWN'))
      ${also}
   RETURNING o.operation_id AS id, o.lease_epoch::float8 AS epoch`;

const WRITE_INTENTS = nameStatement(markSent(`(SELECT g.* FROM ${INTENTS} ${OF_CLAIMED}) AS x`, ''), 'write_intents');

/** Where something is put up: half as dear again (0.7 ms a sale against 0.4 to 0.5, bench:saga at 64 at once), and a sale's take puts nothing up. */
const WRITE_LISTING_INTENTS = nameStatement(
  `WITH x AS MATERIALIZED (
     SELECT g.*, row_number() OVER (PARTITION BY g.user_id, g.siblings IS NULL, g.blueprint_id, CASE WHEN g.siblings IS NULL OR g.bulk THEN g.operation_id END ORDER BY g.operation_id) AS place
       FROM ${INTENTS} ${OF_CLAIMED}),
   being_listed AS MATERIALIZED (
     SELECT c.user_id, c.blueprint_id FROM (SELECT DISTINCT user_id FROM x WHERE siblings IS NOT NULL) AS u
       JOIN marketplace_operations AS c ON c.user_id = u.user_id AND c.state IN ('SENT', 'UNKNOWN') AND c.siblings IS NOT NULL)
   ${markSent('x', 'AND x.place = 1 AND NOT EXISTS (SELECT FROM being_listed AS c WHERE c.user_id = x.user_id AND c.blueprint_id = CASE WHEN x.siblings IS NOT NULL THEN x.blueprint_id END)')}`,
  'write_listing_intents',
);

/**
 * Writes down what is about to be sent; answers which operations may be, and under which claim. Of a seller's card one product is listed at a time (those of one job are
 * chosen so that none is like another): CardTrader adds what is equal to what is there, and whether it is there is seen only once the other's outcome is.
 */
export async function writeIntents(tx: Transaction, owner: string, quarantineMs: number, intents: readonly { work: Work; epoch: number; intent: Intent }[]): Promise<{ id: string; epoch: number }[]> {
  if (intents.length === 0) return [];
  const rows = intents.map(({ work, epoch, intent }) => ({ operation_id: work.id, user_id: work.userId, epoch, product_id: intent.productId, read_at: intent.readAt, before: intent.before, target: intent.target, marked: intent.marked, siblings: intent.siblings, blueprint_id: intent.blueprintId ?? null, seen: intent.eventId ?? null, bulk: intent.bulk ?? false }));
  return tx.$queryRawUnsafe(rows.some(({ siblings }) => siblings !== null) ? WRITE_LISTING_INTENTS : WRITE_INTENTS, JSON.stringify(rows), owner, quarantineMs / 1_000);
}

export interface Recorded {
  readonly work: Work;
  readonly result: Result;
  readonly evidence: readonly Evidence[];
  /** What the operation was when its work began: only from there it goes on. */
  readonly from: Work['state'];
}

const EVIDENCE = (given: string): string => `jsonb_path_query_array(o.evidence || ${given}, '$[last - 29 to last]')`;

const DROP_YOUNGER = nameStatement(
  `DELETE FROM marketplace_operations AS o USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS x (user_id, item_id, operation_id)
    WHERE o.user_id = x.user_id AND o.item_id = x.item_id AND o.kind = 'SYNC' AND o.state = 'PENDING' AND o.operation_id <> x.operation_id
      AND EXISTS (SELECT FROM marketplace_operations AS mine WHERE mine.operation_id = x.operation_id AND mine.state IN ('PENDING', 'SENT', 'UNKNOWN'))`,
  'drop_younger_syncs',
);

const DROP_SETTLED = nameStatement(
  `DELETE FROM marketplace_operations AS o USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS x (user_id, item_id, operation_id)
    WHERE o.user_id = x.user_id AND o.item_id = x.item_id AND o.kind = 'SYNC' AND o.due_at IS NULL AND o.operation_id <> x.operation_id`,
  'drop_settled_syncs',
);

/** Of an item the last SYNC is kept, for people: a seller's changes would make millions of rows. */
export async function dropSettledSyncs(tx: Transaction, settled: readonly Work[]): Promise<void> {
  if (settled.length === 0) return;
  await tx.$executeRawUnsafe(DROP_SETTLED, uuidArray(settled.map(({ userId }) => userId)), uuidArray(settled.map(({ listing }) => listing.itemId)), uuidArray(settled.map(({ id }) => id)));
}

const DROP_NEEDLESS = nameStatement(`DELETE FROM marketplace_operations AS o USING unnest($1::uuid[]) AS x (operation_id) WHERE o.operation_id = x.operation_id AND o.kind = 'SYNC' AND o.state = 'PENDING'`, 'drop_needless_syncs');

/** SYNCs for which there is nothing to do, looked at under the lane. */
export async function dropNeedlessSyncs(tx: Transaction, needless: readonly Work[]): Promise<void> {
  if (needless.length > 0) await tx.$executeRawUnsafe(DROP_NEEDLESS, uuidArray(needless.map(({ id }) => id)));
}

const NAME_JOBS = nameStatement(
  `UPDATE marketplace_operations AS o SET job_id = x.job_id FROM unnest($1::uuid[], $2::text[]) AS x (operation_id, job_id) WHERE o.operation_id = x.operation_id AND o.state = 'SENT' AND o.job_id = ''`,
  'name_jobs',
);

/** Which job they went with. */
export async function nameJobs(tx: Transaction, named: readonly { id: string; jobId: string }[]): Promise<void> {
  if (named.length > 0) await tx.$executeRawUnsafe(NAME_JOBS, uuidArray(named.map(({ id }) => id)), textArray(named.map(({ jobId }) => jobId)));
}

/*
 * Only from the state in which the work began (or SENT, which it wrote itself): an operation that was called off meanwhile, or looked into by somebody
 * else, stays what it is.
 */
const WRITE_RESULTS = nameStatement(
  `UPDATE marketplace_operations AS o
      SET state = x.state, reason = x.reason, due_at = CASE WHEN x.again_ms IS NOT NULL THEN now() + make_interval(secs => x.again_ms / 1000) END,
          settled_at = CASE WHEN x.again_ms IS NULL THEN now() END, evidence = ${EVIDENCE('x.evidence')}, taken = coalesce(x.taken, o.taken)
     FROM jsonb_to_recordset($1::jsonb) AS x (operation_id uuid, began text, state text, reason text, again_ms float8, evidence jsonb, taken int)
    WHERE o.operation_id = x.operation_id AND o.state IN (x.began, 'SENT')
   RETURNING o.operation_id AS id`,
  'write_results',
);

/** A SYNC that waits again takes the place of the one that was asked for meanwhile: one waits an item. One that was forgotten meanwhile takes nobody's place. */
async function yieldToOlder(tx: Transaction, results: readonly Recorded[]): Promise<void> {
  const back = results.filter(({ work, result }) => work.kind === 'SYNC' && result.to === 'PENDING');
  if (back.length > 0) await tx.$executeRawUnsafe(DROP_YOUNGER, uuidArray(back.map(({ work }) => work.userId)), uuidArray(back.map(({ work }) => work.listing.itemId)), uuidArray(back.map(({ work }) => work.id)));
}

/** Records what became of operations; answers which of them were still open. */
export async function writeResults(tx: Transaction, results: readonly Recorded[]): Promise<Set<string>> {
  if (results.length === 0) return new Set();
  const rows = results.map(({ work, result, evidence, from }) => ({ operation_id: work.id, began: from, state: result.to, reason: result.reason, again_ms: result.againMs, evidence, taken: result.taken ?? null }));
  await yieldToOlder(tx, results);
  const written = await tx.$queryRawUnsafe<{ id: string }[]>(WRITE_RESULTS, jsonText(rows));
  return new Set(written.map(({ id }) => id));
}

const CALL_OFF = nameStatement(
  `UPDATE marketplace_operations AS o SET state = 'WITHDRAWN', due_at = NULL, settled_at = now()
     FROM unnest($1::uuid[]) AS x (operation_id), purchase_sagas AS g
    WHERE o.operation_id = x.operation_id AND o.kind = 'TAKE' AND o.state = 'PENDING' AND g.purchase_id = o.purchase_id AND g.user_id = o.user_id AND g.reason IS NOT NULL
   RETURNING o.operation_id AS id`,
  'call_off_takes',
);

/**
 * TAKEs that turned out not to have been carried out, and whose sale is being undone by now, are called off: sent again they would take copies for nobody, and
 * where every write fails the sale would never end. When the undoing began they could not be withdrawn, because they might have been sent. Answers which.
 */
export async function callOff(tx: Transaction, takes: readonly Work[]): Promise<Set<string>> {
  if (takes.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ id: string }[]>(CALL_OFF, uuidArray(takes.map(({ id }) => id)));
  return new Set(rows.map(({ id }) => id));
}

const KEEP_EVIDENCE = nameStatement(
  `UPDATE marketplace_operations AS o SET evidence = ${EVIDENCE('x.evidence')}
     FROM jsonb_to_recordset($1::jsonb) AS x (operation_id uuid, evidence jsonb) WHERE o.operation_id = x.operation_id`,
  'keep_evidence',
);

/** What somebody saw who has no say any more: kept, not acted on. */
export async function keepEvidence(tx: Transaction, late: readonly { id: string; evidence: readonly Evidence[] }[]): Promise<void> {
  if (late.length === 0) return;
  await tx.$executeRawUnsafe(KEEP_EVIDENCE, jsonText(late.map(({ id, evidence }) => ({ operation_id: id, evidence }))));
}

const WRITE_LISTINGS = nameStatement(
  `INSERT INTO marketplace_listings AS l (user_id, item_id, product_id, blueprint_id, quantity, price_cents, currency, confirmed_at, operation_id, gone, product, sold_lines, mismatch, unaccounted)
   SELECT user_id, item_id, product_id, blueprint_id, quantity, price_cents, currency, to_timestamp(confirmed_at / 1000.0), operation_id, gone, product,
          ARRAY(SELECT jsonb_array_elements_text(sold_lines)::bigint), mismatch, strange
     FROM jsonb_to_recordset($1::jsonb) AS x (user_id uuid, item_id uuid, product_id bigint, blueprint_id bigint, quantity int, price_cents bigint, currency text, confirmed_at float8,
                                              operation_id uuid, gone boolean, product jsonb, sold_lines jsonb, mismatch jsonb, strange int)
   ON CONFLICT (user_id, item_id) DO UPDATE
     SET product_id = excluded.product_id, blueprint_id = excluded.blueprint_id, quantity = excluded.quantity, price_cents = excluded.price_cents, currency = excluded.currency,
         confirmed_at = excluded.confirmed_at, operation_id = excluded.operation_id, gone = excluded.gone, product = excluded.product, sold_lines = excluded.sold_lines,
         mismatch = excluded.mismatch, unaccounted = l.unaccounted + excluded.unaccounted`,
  'write_listings',
);

/** Listings as they are known now; `strange`: copies by which CardTrader's number changed of itself since they were known last. */
export async function writeListings(tx: Transaction, known: readonly { listing: Listing; strange: number }[]): Promise<void> {
  if (known.length === 0) return;
  const rows = known.map(({ listing, strange }) => ({
    user_id: listing.userId,
    item_id: listing.itemId,
    product_id: listing.productId,
    blueprint_id: listing.blueprintId,
    quantity: listing.quantity,
    price_cents: listing.priceCents,
    currency: listing.currency,
    confirmed_at: listing.confirmedAt,
    operation_id: listing.operationId,
    gone: listing.gone,
    product: listing.product,
    sold_lines: listing.soldLines,
    mismatch: listing.mismatch,
    strange,
  }));
  await tx.$executeRawUnsafe(WRITE_LISTINGS, jsonText(rows));
}

const TIED_ELSEWHERE = nameStatement(
  `SELECT x.item_id AS "itemId" FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS x (user_id, item_id, product_id)
     JOIN marketplace_listings AS l ON l.user_id = x.user_id AND l.product_id = x.product_id AND l.item_id <> x.item_id`,
  'read_tied_elsewhere',
);

/** Which of these items are to be tied to a product that is another item's. A product is one item's (unique index): refused, it would take all of its seller's results along. */
export async function readTiedElsewhere(tx: Transaction, ties: readonly Listing[]): Promise<Set<string>> {
  if (ties.length === 0) return new Set();
  const rows = await tx.$queryRawUnsafe<{ itemId: string }[]>(TIED_ELSEWHERE, uuidArray(ties.map(({ userId }) => userId)), uuidArray(ties.map(({ itemId }) => itemId)), intArray(ties.map(({ productId }) => productId)));
  return new Set(rows.map(({ itemId }) => itemId));
}

const ADD_LOWERS = nameStatement(
  `INSERT INTO marketplace_operations (operation_id, user_id, item_id, purchase_id, product_id, due_at, quantity, kind, state)
   SELECT operation_id, user_id, item_id, purchase_id, product_id, now(), quantity, 'LOWER', 'PENDING'
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::int[]) AS a (operation_id, user_id, item_id, purchase_id, product_id, quantity)
   ON CONFLICT (operation_id) DO NOTHING`,
  'add_lowers',
);

/** Operations that take off again what a write has put up although it was sold. Nobody waits for them. */
export async function addLowers(tx: Transaction, lowers: readonly { id: string; userId: string; itemId: string; productId: number; quantity: number }[]): Promise<void> {
  if (lowers.length === 0) return;
  await tx.$executeRawUnsafe(
    ADD_LOWERS,
    uuidArray(lowers.map(({ id }) => id)),
    uuidArray(lowers.map(({ userId }) => userId)),
    uuidArray(lowers.map(({ itemId }) => itemId)),
    uuidArray(lowers.map(() => null)),
    intArray(lowers.map(({ productId }) => productId)),
    intArray(lowers.map(({ quantity }) => quantity)),
  );
}
