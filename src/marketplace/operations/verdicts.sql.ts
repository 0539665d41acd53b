import { codeArray, nameStatement, textArray, uuidArray, type Database, type Transaction } from '../../platform/postgres/index.ts';
import type { Evidence, OperationKind, OperationState } from './operation.ts';

/** What an operator says about an operation. */
export interface Verdict {
  readonly id: string;
  /** What it was when the operator looked. */
  readonly from: OperationState;
  /** PENDING, UNKNOWN: to be carried out, or looked into, again; at once. */
  readonly to: Extract<OperationState, 'PENDING' | 'UNKNOWN' | 'APPLIED' | 'REFUSED'>;
  /** For whoever reads its history. */
  readonly note: string;
}

const GIVE_VERDICTS = nameStatement(
  `WITH given AS (
     UPDATE marketplace_operations AS o
        SET state = v.to_state, reason = CASE WHEN v.to_state = 'REFUSED' THEN 'operator' END, due_at = CASE WHEN v.to_state IN ('PENDING', 'UNKNOWN') THEN now() END,
            settled_at = CASE WHEN v.to_state IN ('APPLIED', 'REFUSED') THEN now() END,
            evidence = o.evidence || jsonb_build_array(jsonb_build_object('at', (extract(epoch FROM now()) * 1000)::bigint, 'call', 'note', 'outcome', 'note', 'said', v.note))
       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS v (operation_id, from_state, to_state, note)
      WHERE o.operation_id = v.operation_id AND o.state = v.from_state
     RETURNING o.user_id),
   woken AS (
     UPDATE marketplace_sellers AS s SET work_at = now() FROM (SELECT DISTINCT user_id FROM given) AS u WHERE s.user_id = u.user_id AND (s.work_at IS NULL OR s.work_at > now()))
   SELECT count(*)::int AS given FROM given`,
  'give_verdicts',
);

/** Gives verdicts on operations, each if it is still what the operator saw; answers how many were. Needs the lanes of their users. */
export async function giveVerdicts(tx: Transaction, verdicts: readonly Verdict[]): Promise<number> {
  if (verdicts.length === 0) return 0;
  const [row] = await tx.$queryRawUnsafe<{ given: number }[]>(GIVE_VERDICTS, uuidArray(verdicts.map(({ id }) => id)), codeArray(verdicts.map(({ from }) => from)), codeArray(verdicts.map(({ to }) => to)), textArray(verdicts.map(({ note }) => note)));
  return row?.given ?? 0;
}

/** An operation with all there is to tell of it. */
export interface OperationDetail {
  readonly id: string;
  readonly itemId: string;
  /** Null: nobody's sale. */
  readonly purchaseId: string | null;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly reason: string | null;
  readonly quantity: number;
  readonly productId: number | null;
  readonly attempts: number;
  readonly before: number | null;
  readonly target: number | null;
  readonly createdAt: Date;
  readonly dueAt: Date | null;
  readonly sentAt: Date | null;
  readonly settledAt: Date | null;
  readonly evidence: readonly Evidence[];
}

const DETAIL = `operation_id AS id, item_id AS "itemId", purchase_id AS "purchaseId", kind, state, reason, quantity, product_id::float8 AS "productId", attempts, before, target, created_at AS "createdAt", due_at AS "dueAt",
            sent_at AS "sentAt", settled_at AS "settledAt", evidence`;

/** Operations of a sale, oldest first. */
export async function selectOperations(database: Database, userId: string, purchaseId: string): Promise<OperationDetail[]> {
  return database.$queryRawUnsafe(
    `SELECT ${DETAIL} FROM marketplace_operations WHERE purchase_id = $1::uuid AND user_id = $2::uuid ORDER BY seq`,
    purchaseId,
    userId,
  );
}

/** Operations of an item that are not settled, and those of these ids, oldest first. */
export async function selectItemOperations(database: Database, userId: string, itemId: string, ids: readonly string[]): Promise<OperationDetail[]> {
  return database.$queryRawUnsafe(
    `SELECT ${DETAIL} FROM marketplace_operations WHERE (user_id = $1::uuid AND item_id = $2::uuid AND due_at IS NOT NULL) OR operation_id = ANY ($3::uuid[]) ORDER BY seq`,
    userId,
    itemId,
    uuidArray(ids),
  );
}
