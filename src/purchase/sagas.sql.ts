import type { PurchaseReason } from '../contract/index.ts';
import { codeArray, DatabaseFailure, intArray, nameStatement, textArray, timestampArray, uuidArray, type Database, type Transaction } from '../platform/postgres/index.ts';
import type { HistoryRow, PurchaseFold, SagaEntry } from './fold.ts';
import { ENDED, type PurchaseLine, type Saga, type State } from './saga.ts';

/** A saga as the database has it, for JSON: times in milliseconds, names short because a chunk reads a thousand. */
interface SagaJson {
  n: number;
  event: string;
  started: number;
  deadline: number;
  version: number;
  cancelled: boolean;
  sold: boolean;
  state: State;
  reason: PurchaseReason | null;
  currency: string;
  buyer: string | null;
  lines: { item_id: string; quantity: number; unit_price_cents: number }[];
  trace: string | null;
}

const MS = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;

// One text for all rows: a row an object would cost more in the client than what is done with it (write-path.md section 5).
const READ_SAGAS = nameStatement(
  `SELECT coalesce(json_agg(json_build_object(
            'n', k.n, 'event', s.event_id, 'started', ${MS('s.started_at')}, 'deadline', ${MS('s.deadline_at')}, 'version', s.version,
            'cancelled', s.cancelled, 'sold', s.sold, 'state', s.state, 'reason', s.reason, 'currency', s.currency, 'buyer', s.buyer_id, 'lines', s.lines, 'trace', s.traceparent)), '[]')::text AS sagas
     FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (user_id, purchase_id, n)
     JOIN purchase_sagas AS s ON s.purchase_id = k.purchase_id AND s.user_id = k.user_id`,
  'read_sagas',
);

/** Loads the sagas the fold has touched, those that exist. Needs the lanes of their users. */
export async function readSagas(tx: Transaction, entries: readonly SagaEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const [row] = await tx.$queryRawUnsafe<{ sagas: string }[]>(READ_SAGAS, uuidArray(entries.map((entry) => entry.userId)), uuidArray(entries.map((entry) => entry.purchaseId)));
  for (const found of JSON.parse(row?.sagas ?? '[]') as SagaJson[]) {
    const entry = entries[found.n - 1];
    if (entry === undefined) throw new Error(`the database answered for saga ${found.n} of ${entries.length}`);
    entry.saga = sagaOf(entry, found);
    entry.storedVersion = found.version;
  }
}

function sagaOf({ userId, purchaseId }: SagaEntry, found: SagaJson): Saga {
  const lines = found.lines.map(({ item_id: itemId, quantity, unit_price_cents: unitPriceCents }): PurchaseLine => ({ itemId, quantity, unitPriceCents }));
  const { version, state, reason, cancelled, sold, currency } = found;
  return { userId, purchaseId, eventId: found.event, startedAt: found.started, deadlineAt: found.deadline, buyerId: found.buyer, currency, lines, version, state, reason, cancelled, sold, traceparent: found.trace };
}

/*
 * Holds and sagas, new and changed, and the history, in one round trip. The update is guarded by the version that was read: under
 * the lanes nobody can have moved it, so a count that is too small means that somebody writes without them, and all is undone.
 */
const WRITE_SAGAS = nameStatement(
  `WITH started AS (
     INSERT INTO purchase_sagas (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, cancelled, sold, state, reason, currency, buyer_id, lines, traceparent)
     SELECT user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, cancelled, sold, state, reason, currency, buyer_id, lines::jsonb, traceparent
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::bool[], $9::bool[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $39::text[])
         AS s (user_id, purchase_id, event_id, started_at, deadline_at, next_action_at, version, cancelled, sold, state, reason, currency, buyer_id, lines, traceparent)
     RETURNING 1),
   stepped AS (
     UPDATE purchase_sagas AS s
        SET version = u.version, state = u.state, reason = u.reason, cancelled = u.cancelled, sold = u.sold, next_action_at = u.next_action_at, attempts = 0, updated_at = now()
       FROM unnest($15::uuid[], $16::uuid[], $17::int[], $18::int[], $19::text[], $20::text[], $21::bool[], $22::bool[], $23::timestamptz[])
         AS u (user_id, purchase_id, stored_version, version, state, reason, cancelled, sold, next_action_at)
      WHERE s.purchase_id = u.purchase_id AND s.user_id = u.user_id AND s.version = u.stored_version
     RETURNING 1),
   told AS (
     INSERT INTO purchase_history (user_id, purchase_id, event_id, at, version, fact, state, detail)
     SELECT user_id, purchase_id, event_id, at, version, fact, state, detail::jsonb
       FROM unnest($24::uuid[], $25::uuid[], $26::uuid[], $27::timestamptz[], $28::int[], $29::text[], $30::text[], $31::text[])
         AS h (user_id, purchase_id, event_id, at, version, fact, state, detail)
     RETURNING 1),
   held AS (
     INSERT INTO stock_holds (user_id, item_id, purchase_id, quantity)
     SELECT user_id, item_id, purchase_id, quantity FROM unnest($32::uuid[], $33::uuid[], $34::uuid[], $35::int[]) AS n (user_id, item_id, purchase_id, quantity)
     RETURNING 1),
   freed AS (
     DELETE FROM stock_holds AS d USING unnest($36::uuid[], $37::uuid[], $38::uuid[]) AS r (user_id, item_id, purchase_id)
      WHERE d.user_id = r.user_id AND d.item_id = r.item_id AND d.purchase_id = r.purchase_id
     RETURNING 1)
   SELECT (SELECT count(*)::int FROM started) AS started, (SELECT count(*)::int FROM stepped) AS stepped, (SELECT count(*)::int FROM told) AS told,
          (SELECT count(*)::int FROM held) AS held, (SELECT count(*)::int FROM freed) AS freed`,
  'write_sagas',
);

/** Writes what the fold has changed. `nextActionAt` says when somebody looks again at a saga that has not ended (ms). */
export async function writeSagas(tx: Transaction, fold: PurchaseFold, now: number, nextActionAt: (saga: Saga) => number): Promise<void> {
  const changed = fold.entries.flatMap(({ saga, storedVersion }) => (saga === undefined || saga.version === storedVersion ? [] : [{ saga, storedVersion }]));
  if (changed.length === 0) return;
  const started = changed.filter(({ storedVersion }) => storedVersion === 0).map(({ saga }) => saga);
  const stepped = changed.filter(({ storedVersion }) => storedVersion > 0);
  // A hold that was taken and released in this very transaction was never there.
  const over = new Set(fold.released.map(keyOf));
  const held = fold.holds.filter(({ saga }) => !over.has(keyOf(saga)));
  const taken = new Set(fold.holds.map(({ saga }) => keyOf(saga)));
  const freed = fold.released.filter((saga) => !taken.has(keyOf(saga))).flatMap((saga) => [...new Set(saga.lines.map(({ itemId }) => itemId))].map((itemId) => ({ saga, itemId })));
  const due = (saga: Saga): number | null => (ENDED.has(saga.state) ? null : nextActionAt(saga));
  const [written] = await tx.$queryRawUnsafe<{ started: number; stepped: number; told: number; held: number; freed: number }[]>(
    WRITE_SAGAS,
    uuidArray(started.map((saga) => saga.userId)),
    uuidArray(started.map((saga) => saga.purchaseId)),
    uuidArray(started.map((saga) => saga.eventId)),
    timestampArray(started.map((saga) => saga.startedAt)),
    timestampArray(started.map((saga) => saga.deadlineAt)),
    timestampArray(started.map(due)),
    intArray(started.map((saga) => saga.version)),
    codeArray(started.map((saga) => String(saga.cancelled))),
    codeArray(started.map((saga) => String(saga.sold))),
    codeArray(started.map((saga) => saga.state)),
    codeArray(started.map((saga) => saga.reason)),
    codeArray(started.map((saga) => saga.currency)),
    textArray(started.map((saga) => saga.buyerId)),
    textArray(started.map((saga) => JSON.stringify(saga.lines.map(({ itemId, quantity, unitPriceCents }) => ({ item_id: itemId, quantity, unit_price_cents: unitPriceCents }))))),
    uuidArray(stepped.map(({ saga }) => saga.userId)),
    uuidArray(stepped.map(({ saga }) => saga.purchaseId)),
    intArray(stepped.map(({ storedVersion }) => storedVersion)),
    intArray(stepped.map(({ saga }) => saga.version)),
    codeArray(stepped.map(({ saga }) => saga.state)),
    codeArray(stepped.map(({ saga }) => saga.reason)),
    codeArray(stepped.map(({ saga }) => String(saga.cancelled))),
    codeArray(stepped.map(({ saga }) => String(saga.sold))),
    timestampArray(stepped.map(({ saga }) => due(saga))),
    uuidArray(fold.history.map(({ saga }) => saga.userId)),
    uuidArray(fold.history.map(({ saga }) => saga.purchaseId)),
    uuidArray(fold.history.map(({ eventId }) => eventId)),
    timestampArray(fold.history.map(() => now)),
    intArray(fold.history.map(({ saga }) => saga.version)),
    codeArray(fold.history.map(({ fact }) => fact.fact)),
    codeArray(fold.history.map(({ saga }) => saga.state)),
    textArray(fold.history.map(detailOf)),
    uuidArray(held.map(({ saga }) => saga.userId)),
    uuidArray(held.map(({ line }) => line.itemId)),
    uuidArray(held.map(({ saga }) => saga.purchaseId)),
    intArray(held.map(({ line }) => line.quantity)),
    uuidArray(freed.map(({ saga }) => saga.userId)),
    uuidArray(freed.map(({ itemId }) => itemId)),
    uuidArray(freed.map(({ saga }) => saga.purchaseId)),
    textArray(started.map((saga) => saga.traceparent)),
  );
  const expected = { started: started.length, stepped: stepped.length, told: fold.history.length, held: held.length, freed: freed.length };
  for (const [what, count] of Object.entries(expected) as [keyof typeof expected, number][]) {
    if (written?.[what] === count) continue;
    throw new DatabaseFailure({ kind: 'conflict', state: undefined, cause: undefined, message: `${count} rows of sagas were to be written (${what}), ${written?.[what] ?? 0} were: somebody writes without the lane lock` });
  }
}

const keyOf = ({ userId, purchaseId }: Saga): string => `${userId}/${purchaseId}`;

/** What a fact says beside its name. */
function detailOf({ fact }: HistoryRow): string {
  return JSON.stringify({ ...fact, fact: undefined });
}

const HELD_BEFORE = `SELECT k.n::int AS n, sum(o.quantity)::int AS held
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS k (user_id, item_id, purchase_id, n)
  JOIN stock_holds AS h ON h.user_id = k.user_id AND h.item_id = k.item_id AND h.purchase_id = k.purchase_id
  JOIN stock_holds AS o ON o.user_id = h.user_id AND o.item_id = h.item_id AND (o.created_at, o.purchase_id) <= (h.created_at, h.purchase_id)
 GROUP BY k.n`;

/** For holds on an item that is oversold: how much older holds and this one hold together. Same order as asked. */
export async function readHeldThrough(tx: Transaction, holds: readonly { userId: string; itemId: string; purchaseId: string }[]): Promise<number[]> {
  const rows = await tx.$queryRawUnsafe<{ n: number; held: number }[]>(HELD_BEFORE, uuidArray(holds.map((hold) => hold.userId)), uuidArray(holds.map((hold) => hold.itemId)), uuidArray(holds.map((hold) => hold.purchaseId)));
  const found = new Map(rows.map(({ n, held }) => [n - 1, held]));
  return holds.map((_, index) => found.get(index) ?? 0);
}

const CLAIM_DUE = nameStatement(
  `UPDATE purchase_sagas AS s
      SET next_action_at = least(now() + make_interval(secs => least($2::float8, $3::float8 * power(2, least(s.attempts, 10)))), CASE WHEN s.deadline_at > now() THEN s.deadline_at END),
          attempts = s.attempts + 1
     FROM (SELECT purchase_id, user_id FROM purchase_sagas
            WHERE next_action_at IS NOT NULL AND next_action_at <= now()
            ORDER BY next_action_at LIMIT $1::int FOR UPDATE SKIP LOCKED) AS due
    WHERE s.purchase_id = due.purchase_id AND s.user_id = due.user_id
   RETURNING s.user_id AS "userId", s.purchase_id AS "purchaseId"`,
  'claim_due_sagas',
);

/**
 * Sagas that are overdue, oldest first: claimed and found in one statement, so that nobody acts on what was true a moment ago. The
 * claim is that they are not due again for a while, longer at each look, but not beyond their deadline; it is a lease, not a step, so it needs no lane: a
 * transaction at work on one of them keeps it locked, and it is skipped.
 */
export async function claimDueSagas(tx: Transaction, limit: number, { firstSeconds, mostSeconds }: { firstSeconds: number; mostSeconds: number }): Promise<{ userId: string; purchaseId: string }[]> {
  return tx.$queryRawUnsafe(CLAIM_DUE, limit, mostSeconds, firstSeconds);
}

/** Sagas that have not ended, by state; `overdue`: due for more than a minute, which a sweep every second should not allow. */
export async function countActiveSagas(database: Database): Promise<{ byState: Map<State, number>; overdue: number }> {
  const rows = await database.$queryRawUnsafe<{ state: State; sagas: number; overdue: number }[]>(
    `SELECT state, count(*)::int AS sagas, count(*) FILTER (WHERE next_action_at < now() - interval '1 minute')::int AS overdue
       FROM purchase_sagas WHERE next_action_at IS NOT NULL GROUP BY state`,
  );
  return { byState: new Map(rows.map(({ state, sagas }) => [state, sagas])), overdue: rows.reduce((sum, { overdue }) => sum + overdue, 0) };
}
