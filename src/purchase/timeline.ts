import { PURCHASE_REASONS } from '../contract/index.ts';
import { OPERATION_REASONS, type OperationDetail, type OperationReason } from '../marketplace/index.ts';
import type { ActionRow } from '../platform/postgres/index.ts';
import { counted } from '../platform/words.ts';
import type { SagaRow, StepRow } from './select.sql.ts';

/** A sale in words, for support and operators: what happened, when, how long it took, what CardTrader answered. Pure. */
export interface TimelineLine {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
  /** A call of an operation rather than a step of the sale. */
  readonly detail: boolean;
}

export interface SagaStory {
  readonly saga: SagaRow;
  readonly steps: readonly StepRow[];
  readonly operations: readonly OperationDetail[];
  readonly actions: readonly ActionRow[];
}

/** Everything that happened, oldest first; what happened at the same time stands in the order in which it follows from each other. */
export function timeline({ saga, steps, operations, actions }: SagaStory): TimelineLine[] {
  const lines = [
    ...steps.map((step): TimelineLine => ({ at: step.at.getTime(), text: stepWords(step, saga), detail: false })),
    ...operations.flatMap((operation) => operation.evidence.map((call): TimelineLine => ({ at: call.at, text: callWords(operation, call), detail: true }))),
    ...actions.map(({ at, who, action, reason }): TimelineLine => ({ at: at.getTime(), text: `${who}: ${action} (“${reason}”)`, detail: false })),
  ];
  return lines.toSorted((a, b) => a.at - b.at);
}

/** How it stands, in one or two sentences. */
export function standing({ saga, operations }: Pick<SagaStory, 'saga' | 'operations'>, now: number): string {
  const took = seconds(saga.updatedAt.getTime() - saga.startedAt.getTime());
  const why = saga.reason === null ? '' : ` (${PURCHASE_REASONS[saga.reason]})`;
  const open = operations.filter(({ dueAt }) => dueAt !== null);
  switch (saga.state) {
    case 'CONFIRMED':
      return `Sold, after ${took}.`;
    case 'REJECTED':
      return `Rejected at once${why}.`;
    case 'COMPENSATED':
      return `Undone, after ${took}${why}.`;
    case 'RESERVED':
      return `Reserved; waits to be called on CardTrader, if it is listed there. It is given up ${inTime(saga.deadlineAt.getTime() - now)}.`;
    case 'CALLING':
      return `Waits for CardTrader: ${listOf(open)}. What is not sent is given up ${inTime(saga.deadlineAt.getTime() - now)}.`;
    case 'RECONCILING':
      return `An answer of CardTrader was lost: ${listOf(open)}. It is looked into once the request cannot be on its way any more.`;
    case 'COMPENSATING':
      return `Is being undone${why}: ${open.length === 0 ? 'about to end' : listOf(open)}.`;
    case 'NEEDS_OPERATOR':
      return `Needs an operator: ${OPERATION_REASONS[(saga.stuck ?? '') as OperationReason] ?? saga.stuck ?? 'it is not known why'}.`;
  }
}

/** What to do about a sale that needs somebody. */
export function advice({ state, purchaseId, userId }: Pick<SagaRow, 'state' | 'purchaseId' | 'userId'>): string[] {
  if (state !== 'NEEDS_OPERATOR') return [];
  const of = `${purchaseId} --user ${userId}`;
  return [
    `brx-sync saga retry ${of} --reason …              have it looked into once more`,
    `brx-sync saga resolve ${of} --applied --reason …      it took effect on CardTrader`,
    `brx-sync saga resolve ${of} --not-applied --reason …  it did not`,
    `brx-sync saga confirm ${of} --reason …            let the sale stand`,
  ];
}

export function operationWords({ kind, quantity, productId, itemId, state, reason, attempts, before, target }: OperationDetail): string {
  const what = { TAKE: 'take', RETURN: 'give back', LOWER: 'take off', SYNC: 'bring into line' }[kind];
  const change = before === null || target === null ? '' : `, ${before} → ${target}`;
  const tries = attempts <= 1 ? '' : `, sent ${attempts} times`;
  return `${what} ${quantity} of item ${itemId}${productId === null ? '' : ` (product ${productId})`}: ${state}${reason === null ? '' : ` (${reason})`}${change}${tries}`;
}

function stepWords({ fact, detail }: StepRow, saga: SagaRow): string {
  switch (fact) {
    case 'reserved':
      return `reserved ${saga.lines.map(({ item_id: itemId, quantity }) => `${quantity} of item ${itemId}`).join(', ')}`;
    case 'rejected':
      return `rejected: ${reasonWords(detail['reason'])}`;
    case 'called':
      return `listed on CardTrader: asks to take ${(detail['take'] as { itemId: string; quantity: number }[]).map(({ itemId, quantity }) => `${quantity} of item ${itemId}`).join(', ')}`;
    case 'unknown':
      return 'an answer of CardTrader was lost: waits until it is known what became of it';
    case 'found':
      return 'it is known what became of it: goes on';
    case 'confirmed':
      return 'sold: taken from stock, outcome CONFIRMED told';
    case 'compensating': {
      const [withdraw, giveBack] = [lengthOf(detail['withdraw']), lengthOf(detail['giveBack'])];
      const what = [withdraw > 0 && `${withdraw} not sent yet are called off`, giveBack > 0 && `${giveBack} are given back on CardTrader`].filter((part) => part !== false);
      return `is undone: ${reasonWords(detail['reason'])}${what.length === 0 ? '' : `; ${what.join(', ')}`}`;
    }
    case 'giving_back':
      return `${lengthOf(detail['giveBack'])} that took effect after all are given back on CardTrader`;
    case 'compensated':
      return `undone: stock is free again, outcome told (${reasonWords(detail['reason'])})`;
    case 'stuck':
      return `needs an operator: ${OPERATION_REASONS[detail['why'] as OperationReason] ?? textOf(detail['why'])}`;
    case 'cancel_noted':
      return 'its cancellation came; it is carried out once an operator has settled what is open';
    case 'resumed':
      return 'goes on, by an operator';
    default:
      return fact;
  }
}

function callWords({ kind }: OperationDetail, { call, outcome, reason, status, ms, quantity, said, requestId }: OperationDetail['evidence'][number]): string {
  const took = ms === undefined ? '' : `, ${ms} ms`;
  const how = outcome === 'applied' ? '' : `: ${outcome}${reason === undefined ? '' : ` (${reason}${status === undefined ? '' : ` ${status}`})`}${said === undefined || said === '' ? '' : ` “${said}”`}${requestId === undefined ? '' : `, request ${requestId}`}`;
  switch (call) {
    case 'read':
      return `${kind} reads the product${outcome === 'applied' ? (quantity === undefined ? '' : quantity === null ? ': it is not there' : `: ${copies(quantity)}`) : ''}${how}${took}`;
    case 'write':
      return `${kind} writes ${typeof quantity === 'number' ? copies(quantity) : 'the product'}${outcome === 'applied' ? ': done' : how}${took}`;
    case 'orders':
      return `${kind} looks for sales on CardTrader${how}${took}`;
    case 'note':
      return `${kind}: ${said ?? ''}`;
  }
}

const copies = (quantity: number): string => counted(quantity, 'copy', 'copies');
const lengthOf = (list: unknown): number => (Array.isArray(list) ? list.length : 0);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : 'it is not known why');
const reasonWords = (reason: unknown): string => (typeof reason === 'string' && Object.hasOwn(PURCHASE_REASONS, reason) ? PURCHASE_REASONS[reason as keyof typeof PURCHASE_REASONS] : String(reason));
const listOf = (open: readonly OperationDetail[]): string => (open.length === 0 ? 'its results are on their way' : open.map(operationWords).join('; '));
const seconds = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
const inTime = (ms: number): string => (ms <= 0 ? 'at the next look' : `in ${seconds(ms)}`);
