import { codeArray, DatabaseFailure, intArray, nameStatement, textArray, uuidArray, type Transaction } from '../platform/postgres/index.ts';
import type { MoveRow, StockFold } from './fold.ts';
import type { Item } from './item.ts';

/*
 * Parameters of the two statements below name each user once and let rows point at it (and ledger rows at their item) by index:
 * an index is 3 bytes where a uuid is 37, and what is sent is what costs (a chunk of 1,000 events: 260 kB instead of 450 kB, 2 µs
 * an event less in the client). Subscripting an array parameter of fixed-length elements is a multiplication.
 */

const READ_STOCK = nameStatement(
  `SELECT known.ns AS known, stock.*
     FROM (SELECT string_agg(k.n::text, ',') AS ns
             FROM unnest($1::uuid[]) WITH ORDINALITY AS k (event_id, n)
             JOIN stock_ledger AS l ON l.event_id = k.event_id) AS known,
          (SELECT string_agg(i.n::text, ',') AS items,
                  string_agg(t.ctid::text, ';') AS place,
                  string_agg(t.on_hand::text, ',') AS on_hand,
                  string_agg(t.held::text, ',') AS held,
                  string_agg(t.flags::text, ',') AS flags,
                  string_agg(coalesce(t.version::text, ''), ',') AS version,
                  string_agg(t.last_event_id::text, ',') AS last_event_id
             FROM unnest($3::int[], $4::uuid[]) WITH ORDINALITY AS i (user_index, item_id, n)
             JOIN inventory_items AS t ON t.user_id = ($2::uuid[])[i.user_index] AND t.item_id = i.item_id) AS stock`,
  'read_stock',
);

interface StockRow {
  known: string | null;
  items: string | null;
  place: string | null;
  on_hand: string | null;
  held: string | null;
  flags: string | null;
  version: string | null;
  last_event_id: string | null;
}

const split = (column: string | null, separator = ','): string[] => (column === null ? [] : column.split(separator));

/**
 * Reads, in one statement, which of `eventIds` the ledger knows (answer: their indexes) and the state of every item the fold has
 * touched (loaded into it). Needs the lanes of all users concerned. Columns come back as one string each: a row an item would
 * cost more in the client than the whole fold (write-path.md section 5, "Results").
 */
export async function readStock(tx: Transaction, fold: StockFold, eventIds: readonly string[]): Promise<Set<number>> {
  const { items } = fold;
  const [row] = await tx.$queryRawUnsafe<StockRow[]>(
    READ_STOCK,
    uuidArray(eventIds),
    ...userColumns(items),
    uuidArray(items.map((item) => item.itemId)),
  );
  if (row === undefined) throw new Error('an aggregate without GROUP BY answers exactly one row');
  loadItems(items, row);
  return new Set(split(row.known).map((n) => Number(n) - 1));
}

function loadItems(items: readonly Item[], row: StockRow): void {
  const place = split(row.place, ';');
  const onHand = split(row.on_hand);
  const held = split(row.held);
  const flags = split(row.flags);
  const version = split(row.version);
  const lastEventId = split(row.last_event_id);
  split(row.items).forEach((n, index) => {
    const item = items[Number(n) - 1];
    if (item === undefined) throw new Error(`the database answered for item ${n} of ${items.length}`);
    item.exists = true;
    item.place = place[index] ?? null;
    item.onHand = Number(onHand[index]);
    item.held = Number(held[index]);
    item.flags = Number(flags[index]);
    item.version = version[index] === '' ? null : Number(version[index]);
    item.lastEventId = lastEventId[index] ?? null;
  });
}

/** Two parameters: the distinct users of these items, and for each item the index (from 1) of its user. */
function userColumns(items: readonly Item[]): [Buffer, string] {
  const indexes = new Map<string, number>();
  const index = items.map(({ userId }) => {
    let known = indexes.get(userId);
    if (known === undefined) indexes.set(userId, (known = indexes.size + 1));
    return known;
  });
  return [uuidArray([...indexes.keys()]), intArray(index)];
}

/*
 * One statement for both tables: every round trip inside the transaction is time during which the lanes are held.
 *
 * Rows that exist are updated at the place (ctid) where this transaction has just read them, which saves the look-up of a 32-byte key
 * and the speculative insertion of ON CONFLICT: 5.6 instead of 8.8 µs a row (PostgreSQL 15, 200,000 items, chunks of 1,000). A row
 * cannot move in between: whoever writes it holds its lane. Someone who writes without the lane (an operator in psql) makes
 * the count below too small, or the insert a 23505: the chunk fails, nothing of it has happened, and it is read and tried again.
 */
const WRITE_STOCK = nameStatement(
  `WITH items AS MATERIALIZED (
     SELECT ($1::uuid[])[user_index] AS user_id, item_id, place, blueprint_id, on_hand, held, price_cents, currency, properties::jsonb AS properties, version, flags, last_event_id
       FROM unnest($2::int[], $3::uuid[], $4::tid[], $5::bigint[], $6::int[], $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::smallint[], $12::uuid[], $25::int[])
         AS i (user_index, item_id, place, blueprint_id, on_hand, price_cents, currency, properties, version, flags, last_event_id, held)
      WHERE last_event_id IS NOT NULL),
   updated AS (
     UPDATE inventory_items AS t
        SET blueprint_id = coalesce(i.blueprint_id, t.blueprint_id),
            on_hand = i.on_hand,
            held = i.held,
            price_cents = coalesce(i.price_cents, t.price_cents),
            currency = coalesce(i.currency, t.currency),
            properties = coalesce(i.properties, t.properties),
            version = i.version,
            flags = i.flags,
            last_event_id = i.last_event_id,
            updated_at = now()
       FROM items AS i
      WHERE t.ctid = i.place AND t.user_id = i.user_id AND t.item_id = i.item_id
     RETURNING 1),
   inserted AS (
     INSERT INTO inventory_items (user_id, item_id, blueprint_id, on_hand, held, price_cents, currency, properties, version, flags, last_event_id)
     SELECT user_id, item_id, blueprint_id, on_hand, held, price_cents, currency, properties, version, flags, last_event_id
       FROM items
      WHERE place IS NULL),
   recorded AS (
     INSERT INTO stock_ledger (event_id, user_id, item_id, previous_event_id, occurred_at, version, quantity, delta, on_hand, kind, outcome, cause)
     SELECT event_id, ($1::uuid[])[($2::int[])[item]], ($3::uuid[])[item], previous_event_id, to_timestamp(occurred_at / 1000.0),
            version, quantity, delta, on_hand, kind, outcome, ($13::text[])[cause]
       FROM unnest($14::uuid[], $15::int[], $16::uuid[], $17::float8[], $18::bigint[], $19::int[], $20::int[], $21::int[], $22::text[], $23::text[], $24::int[])
         AS l (event_id, item, previous_event_id, occurred_at, version, quantity, delta, on_hand, kind, outcome, cause)
     RETURNING 1)
   SELECT (SELECT count(*)::int FROM updated) AS updated, (SELECT count(*)::int FROM recorded) AS recorded`,
  'write_stock',
);

const KIND = { SET: 'S', ADJUST: 'A', REMOVE: 'R' } as const;
const OUTCOME = { applied: 'a', stale: 's', dead_lettered: 'd' } as const;

/** Writes what the fold has changed: items and the ledger rows of stock changes, set-based, sorted. Moves have a statement of their own. */
export async function writeStock(tx: Transaction, fold: StockFold): Promise<void> {
  const { ledger } = fold;
  const items = fold.itemsToWrite();
  if (items.length === 0) return;
  const position = new Map(items.map((item, index) => [item, index + 1]));
  const causes = new Map<string, number>();
  for (const { cause } of ledger) if (!causes.has(cause)) causes.set(cause, causes.size + 1);
  const [written] = await tx.$queryRawUnsafe<{ updated: number; recorded: number }[]>(
    WRITE_STOCK,
    ...userColumns(items),
    uuidArray(items.map((item) => item.itemId)),
    textArray(items.map((item) => item.place)),
    intArray(items.map((item) => item.blueprintId)),
    intArray(items.map((item) => item.onHand)),
    intArray(items.map((item) => item.priceCents)),
    codeArray(items.map((item) => item.currency)),
    textArray(items.map((item) => (item.properties === null ? null : JSON.stringify(item.properties)))),
    intArray(items.map((item) => item.version)),
    intArray(items.map((item) => item.flags)),
    uuidArray(items.map((item) => item.lastEventId)),
    textArray([...causes.keys()]),
    uuidArray(ledger.map((row) => row.event.event_id)),
    intArray(ledger.map((row) => position.get(row.item) ?? null)),
    uuidArray(ledger.map((row) => row.previousEventId)),
    intArray(ledger.map((row) => row.event.occurred_at)),
    intArray(ledger.map((row) => row.event.version)),
    intArray(ledger.map((row) => row.event.quantity)),
    intArray(ledger.map((row) => row.delta)),
    intArray(ledger.map((row) => row.onHand)),
    codeArray(ledger.map((row) => KIND[row.event.kind])),
    codeArray(ledger.map((row) => OUTCOME[row.outcome])),
    intArray(ledger.map((row) => causes.get(row.cause) ?? null)),
    intArray(items.map((item) => item.held)),
  );
  // The counts are the proof: of rows that moved under us, and of a statement that Prisma resolved without its having run (write-path.md 8.4).
  const existing = items.reduce((count, item) => (item.place === null ? count : count + 1), 0);
  if (written?.recorded !== ledger.length) throw new Error(`${ledger.length} ledger rows were to be written, ${written?.recorded ?? 0} were`);
  if (written.updated !== existing) {
    throw new DatabaseFailure({ kind: 'conflict', state: undefined, cause: undefined, message: `${existing} items were to be updated, ${written.updated} were where they had been read: somebody writes without the lane lock` });
  }
}

const WRITE_MOVES = nameStatement(
  `INSERT INTO stock_ledger (event_id, user_id, item_id, previous_event_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta)
   SELECT event_id, user_id, item_id, previous_event_id, to_timestamp(occurred_at / 1000.0), quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::int[], $7::int[], $8::int[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::int[])
       AS m (event_id, user_id, item_id, previous_event_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause, purchase_id, held_delta)`,
  'write_moves',
);

const MOVE_OUTCOME = { applied: 'a', stale: 's', rejected: 'r', dead_lettered: 'd' } as const;

/** Writes the ledger rows of what purchases did; the items themselves are `writeStock`'s. */
export async function writeMoves(tx: Transaction, moves: readonly MoveRow[]): Promise<void> {
  if (moves.length === 0) return;
  const written = await tx.$executeRawUnsafe(
    WRITE_MOVES,
    uuidArray(moves.map((move) => move.id)),
    uuidArray(moves.map((move) => move.item.userId)),
    uuidArray(moves.map((move) => move.item.itemId)),
    uuidArray(moves.map((move) => move.previousId)),
    intArray(moves.map((move) => move.occurredAt)),
    intArray(moves.map((move) => move.quantity)),
    intArray(moves.map((move) => move.delta)),
    intArray(moves.map((move) => move.onHandAfter)),
    codeArray(moves.map((move) => move.kind)),
    codeArray(moves.map((move) => MOVE_OUTCOME[move.outcome])),
    textArray(moves.map((move) => move.cause)),
    uuidArray(moves.map((move) => move.purchaseId)),
    intArray(moves.map((move) => move.held)),
  );
  if (written !== moves.length) throw new Error(`${moves.length} ledger rows of purchases were to be written, ${written} were`);
}
