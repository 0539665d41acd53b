import type pg from 'pg';
import type { Item, StockFold } from '../../src/inventory/index.ts';
import { intArray, textArray, uuidArray } from '../../src/platform/postgres/index.ts';

/**
 * The writes of a chunk as one upsert without having read anything: what a set-based writer does at best. (BRX Sync reads first,
 * has to, and so can update rows where it found them.)
 */
const UPSERT_CHUNK = `WITH items AS (
     INSERT INTO inventory_items AS t
            (user_id, item_id, blueprint_id, on_hand, price_cents, currency, properties, version, flags, last_event_id, updated_at)
     SELECT ($1::uuid[])[user_index], item_id, blueprint_id, on_hand, price_cents, currency, properties::jsonb, version, flags, last_event_id, now()
       FROM unnest($2::int[], $3::uuid[], $4::bigint[], $5::int[], $6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::smallint[], $11::uuid[])
         AS i (user_index, item_id, blueprint_id, on_hand, price_cents, currency, properties, version, flags, last_event_id)
      WHERE last_event_id IS NOT NULL
     ON CONFLICT (user_id, item_id) DO UPDATE
        SET blueprint_id = coalesce(EXCLUDED.blueprint_id, t.blueprint_id),
            on_hand = EXCLUDED.on_hand,
            price_cents = coalesce(EXCLUDED.price_cents, t.price_cents),
            currency = coalesce(EXCLUDED.currency, t.currency),
            properties = coalesce(EXCLUDED.properties, t.properties),
            version = EXCLUDED.version,
            flags = EXCLUDED.flags,
            last_event_id = EXCLUDED.last_event_id,
            updated_at = EXCLUDED.updated_at)
   INSERT INTO stock_ledger (event_id, user_id, item_id, previous_event_id, occurred_at, version, quantity, delta, on_hand, kind, outcome, cause)
   SELECT event_id, ($1::uuid[])[($2::int[])[item]], ($3::uuid[])[item], previous_event_id, to_timestamp(occurred_at / 1000.0),
          version, quantity, delta, on_hand, kind, outcome, ($12::text[])[cause]
     FROM unnest($13::uuid[], $14::int[], $15::uuid[], $16::float8[], $17::bigint[], $18::int[], $19::int[], $20::int[], $21::text[], $22::text[], $23::int[])
       AS l (event_id, item, previous_event_id, occurred_at, version, quantity, delta, on_hand, kind, outcome, cause)`;

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

const KIND = { SET: 'S', ADJUST: 'A', REMOVE: 'R' } as const;
const OUTCOME = { applied: 'a', stale: 's', dead_lettered: 'd' } as const;

/** One chunk, one autocommit statement. Answers how many ledger rows it wrote. */
export async function upsertChunk(client: pg.Client, fold: StockFold): Promise<number> {
  const { ledger } = fold;
  const items = fold.itemsToWrite();
  const position = new Map(items.map((item, index) => [item, index + 1]));
  const causes = new Map<string, number>();
  for (const { cause } of ledger) if (!causes.has(cause)) causes.set(cause, causes.size + 1);
  const values = [
    ...userColumns(items),
    uuidArray(items.map((item) => item.itemId)),
    intArray(items.map((item) => item.blueprintId)),
    intArray(items.map((item) => item.onHand)),
    intArray(items.map((item) => item.priceCents)),
    textArray(items.map((item) => item.currency)),
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
    textArray(ledger.map((row) => KIND[row.event.kind])),
    textArray(ledger.map((row) => OUTCOME[row.outcome])),
    intArray(ledger.map((row) => causes.get(row.cause) ?? null)),
  ];
  return (await client.query({ name: 'upsert_chunk', text: UPSERT_CHUNK, values })).rowCount ?? 0;
}
