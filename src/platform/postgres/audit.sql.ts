import { textArray } from './arrays.ts';
import type { PrismaClient } from './generated/client.ts';
import type { Transaction } from './transaction.ts';

/** Something an operator did by hand. */
export interface OperatorAction {
  /** Who did it: a name of the operating system or of an access token's owner. */
  readonly who: string;
  /** `saga.compensate`, `outbox.skip`. */
  readonly action: string;
  /** What it was done to. */
  readonly target: string;
  readonly reason: string;
  readonly detail: object;
}

/** Writes down what an operator does, in the transaction that does it. */
export async function recordOperatorAction(tx: Transaction, { who, action, target, reason, detail }: OperatorAction): Promise<void> {
  await tx.$executeRawUnsafe('INSERT INTO operator_actions (who, action, target, reason, detail) VALUES ($1, $2, $3, $4, $5::jsonb)', who, action, target, reason, JSON.stringify(detail));
}

/** The same for many things done at once. */
export async function recordOperatorActions(tx: Transaction, actions: readonly OperatorAction[]): Promise<void> {
  if (actions.length === 0) return;
  const column = (read: (action: OperatorAction) => string): string => textArray(actions.map(read));
  await tx.$executeRawUnsafe(
    `INSERT INTO operator_actions (who, action, target, reason, detail)
     SELECT who, action, target, reason, detail::jsonb FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS a (who, action, target, reason, detail, n) ORDER BY n`,
    column(({ who }) => who),
    column(({ action }) => action),
    column(({ target }) => target),
    column(({ reason }) => reason),
    column(({ detail }) => JSON.stringify(detail)),
  );
}

/** What was done, as it is read back. */
export interface ActionRow {
  readonly at: Date;
  readonly who: string;
  readonly action: string;
  readonly reason: string;
}

/** What operators did to it, oldest first. */
export async function selectActions(database: Pick<PrismaClient, '$queryRawUnsafe'>, target: string): Promise<ActionRow[]> {
  return database.$queryRawUnsafe('SELECT at, who, action, reason FROM operator_actions WHERE target = $1 ORDER BY id', target);
}
