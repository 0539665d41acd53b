import type { PurchaseReason } from '../contract/index.ts';
import type { Database } from '../platform/postgres/index.ts';
import type { State } from './saga.ts';

/** A sale, for people. */
export interface SagaRow {
  readonly userId: string;
  readonly purchaseId: string;
  readonly eventId: string;
  readonly state: State;
  readonly reason: PurchaseReason | null;
  readonly version: number;
  readonly cancelled: boolean;
  readonly sold: boolean;
  readonly startedAt: Date;
  readonly updatedAt: Date;
  readonly deadlineAt: Date;
  readonly nextActionAt: Date | null;
  /** Looks since its last step. */
  readonly attempts: number;
  readonly currency: string;
  readonly buyerId: string | null;
  readonly lines: readonly { readonly item_id: string; readonly quantity: number; readonly unit_price_cents: number }[];
  /** Why it needs an operator, if it does. */
  readonly stuck: string | null;
  /** Trace it came with. */
  readonly traceparent: string | null;
}

const COLUMNS = `s.user_id AS "userId", s.purchase_id AS "purchaseId", s.event_id AS "eventId", s.state, s.reason, s.version, s.cancelled, s.sold, s.started_at AS "startedAt", s.updated_at AS "updatedAt",
       s.deadline_at AS "deadlineAt", s.next_action_at AS "nextActionAt", s.attempts, s.currency, s.buyer_id AS "buyerId", s.lines, s.traceparent,
       CASE WHEN s.state = 'NEEDS_OPERATOR' THEN (SELECT h.detail ->> 'why' FROM purchase_history AS h WHERE h.purchase_id = s.purchase_id AND h.user_id = s.user_id AND h.fact = 'stuck' ORDER BY h.version DESC LIMIT 1) END AS stuck`;

/** Where a list of sales goes on. */
export interface SagaPlace {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly purchaseId: string;
  readonly userId: string;
}

/** Which sales; all that is given must hold. */
export interface SagaFilter {
  readonly states?: readonly State[];
  readonly userId?: string;
  /** Started before; milliseconds since 1970. */
  readonly startedBefore?: number;
  /** Only what follows this one. */
  readonly after?: SagaPlace | undefined;
  /** Most, oldest first. */
  readonly limit: number;
}

export async function selectSagas(database: Database, { states, userId, startedBefore, after, limit }: SagaFilter): Promise<SagaRow[]> {
  return database.$queryRawUnsafe(
    `SELECT ${COLUMNS} FROM purchase_sagas AS s
      WHERE ($1::text IS NULL OR s.state = ANY (string_to_array($1, ','))) AND ($2::uuid IS NULL OR s.user_id = $2::uuid) AND ($3::float8 IS NULL OR s.started_at < to_timestamp($3::float8 / 1000.0))
        AND ($5::float8 IS NULL OR (s.started_at, s.purchase_id, s.user_id) > (to_timestamp($5::float8 / 1000.0), $6::uuid, $7::uuid))
      ORDER BY s.started_at, s.purchase_id, s.user_id LIMIT $4::int`,
    states?.join(',') ?? null,
    userId ?? null,
    startedBefore ?? null,
    limit,
    after?.startedAt ?? null,
    after?.purchaseId ?? null,
    after?.userId ?? null,
  );
}

/** Sales of this id: one, unless two sellers' upstreams chose the same. */
export async function selectSaga(database: Database, purchaseId: string, userId?: string): Promise<SagaRow[]> {
  return database.$queryRawUnsafe(`SELECT ${COLUMNS} FROM purchase_sagas AS s WHERE s.purchase_id = $1::uuid AND ($2::uuid IS NULL OR s.user_id = $2::uuid) ORDER BY s.user_id`, purchaseId, userId ?? null);
}

/** One step of a sale. */
export interface StepRow {
  readonly at: Date;
  readonly version: number;
  readonly fact: string;
  readonly state: State;
  readonly eventId: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export async function selectSteps(database: Database, userId: string, purchaseId: string): Promise<StepRow[]> {
  return database.$queryRawUnsafe(`SELECT at, version, fact, state, event_id AS "eventId", detail FROM purchase_history WHERE purchase_id = $1::uuid AND user_id = $2::uuid ORDER BY version`, purchaseId, userId);
}
