import type pg from 'pg';

const PAGE = 2_000;
const LOWEST = '00000000-0000-0000-0000-000000000000';

/** A step as the history keeps it: version, fact, state after it, id of its record, reason. */
export type StepTuple = [version: number, fact: string, state: string, eventId: string, reason: string | null];
export type OperationTuple = [id: string, kind: string, state: string, itemId: string, quantity: number, returns: string | null];

export interface SagaRow {
  user_id: string;
  purchase_id: string;
  event_id: string;
  state: string;
  version: number;
  reason: string | null;
  sold: boolean;
  currency: string;
  buyer_id: string | null;
  lines: { item_id: string; quantity: number; unit_price_cents: number }[];
  steps: StepTuple[] | null;
  operations: OperationTuple[] | null;
}

/** Every sale with its steps and what it asked of CardTrader. */
export async function* sagaRows(client: pg.PoolClient): AsyncGenerator<SagaRow[]> {
  for (let purchase = LOWEST, user = LOWEST; ; ) {
    const { rows } = await client.query<SagaRow>(
      `SELECT s.user_id, s.purchase_id, s.event_id, s.state, s.version, s.reason, s.sold, s.currency, s.buyer_id, s.lines,
              (SELECT json_agg(json_build_array(h.version, h.fact, h.state, h.event_id, h.detail ->> 'reason') ORDER BY h.version)
                 FROM purchase_history AS h WHERE h.purchase_id = s.purchase_id AND h.user_id = s.user_id) AS steps,
              (SELECT json_agg(json_build_array(o.operation_id, o.kind, o.state, o.item_id, o.quantity, o.returns) ORDER BY o.seq)
                 FROM marketplace_operations AS o WHERE o.purchase_id = s.purchase_id AND o.user_id = s.user_id) AS operations
         FROM purchase_sagas AS s WHERE (s.purchase_id, s.user_id) > ($1::uuid, $2::uuid) ORDER BY s.purchase_id, s.user_id LIMIT ${PAGE}`,
      [purchase, user],
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    purchase = last.purchase_id;
    user = last.user_id;
  }
}

export interface HoldRow {
  user_id: string;
  item_id: string;
  purchase_id: string;
  quantity: number;
}

export async function* holdRows(client: pg.PoolClient): AsyncGenerator<HoldRow[]> {
  for (let last: Pick<HoldRow, 'user_id' | 'item_id' | 'purchase_id'> = { user_id: LOWEST, item_id: LOWEST, purchase_id: LOWEST }; ; ) {
    const { rows } = await client.query<HoldRow>(
      `SELECT user_id, item_id, purchase_id, quantity FROM stock_holds
        WHERE (user_id, item_id, purchase_id) > ($1::uuid, $2::uuid, $3::uuid) ORDER BY user_id, item_id, purchase_id LIMIT ${PAGE}`,
      [last.user_id, last.item_id, last.purchase_id],
    );
    yield rows;
    const end = rows.at(-1);
    if (end === undefined || rows.length < PAGE) return;
    last = end;
  }
}

/** Steps and operations of sales that are not there, as many as are worth telling. */
export async function strayRows(client: pg.PoolClient): Promise<{ what: 'step' | 'operation'; user_id: string; purchase_id: string }[]> {
  const { rows } = await client.query<{ what: 'step' | 'operation'; user_id: string; purchase_id: string }>(
    `(SELECT DISTINCT 'step' AS what, user_id, purchase_id FROM purchase_history AS h
       WHERE NOT EXISTS (SELECT FROM purchase_sagas AS s WHERE s.purchase_id = h.purchase_id AND s.user_id = h.user_id) LIMIT 100)
     UNION ALL
     (SELECT DISTINCT 'operation', user_id, purchase_id FROM marketplace_operations AS o
       WHERE o.purchase_id IS NOT NULL AND NOT EXISTS (SELECT FROM purchase_sagas AS s WHERE s.purchase_id = o.purchase_id AND s.user_id = o.user_id) LIMIT 100)`,
  );
  return rows;
}

/** Ids of records for a topic that Kafka does not have for certain yet. */
export async function unpublishedIds(client: pg.PoolClient, topic: string): Promise<string[]> {
  const { rows } = await client.query<{ event_id: string }>('SELECT event_id FROM outbox WHERE topic = $1 AND event_id IS NOT NULL', [topic]);
  return rows.map(({ event_id: id }) => id);
}

/** Sales that have not ended, and records of outcomes that are not published. */
export async function countUnsettled(pool: pg.Pool, topic: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `SELECT ((SELECT count(*) FROM purchase_sagas WHERE next_action_at IS NOT NULL) + (SELECT count(*) FROM outbox WHERE topic = $1))::int AS n`,
    [topic],
  );
  return rows[0]?.n ?? 0;
}
