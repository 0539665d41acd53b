import { BrxError } from '../errors.ts';
import { giveVerdicts, readOperations, type Operation, type Verdict } from '../marketplace/index.ts';
import { DatabaseFailure, recordOperatorAction, toBrxError, type Transaction } from '../platform/postgres/index.ts';
import { advance, type AdvanceDeps } from './advance.ts';
import type { Stimulus } from './decide.ts';
import { readSagas } from './sagas.sql.ts';
import { ENDED, type Saga, type State } from './saga.ts';

/** What an operator may do to a sale. Each is one transaction, and written down with who and why. */
export type SagaVerb =
  /** Do now what it waits for: operations are carried out, or looked into, again. */
  | { readonly verb: 'retry' }
  /** Undo it, on both sides. */
  | { readonly verb: 'compensate' }
  /** Let it stand: what could not be told, or is not done yet, has been done on CardTrader, by us or by hand. */
  | { readonly verb: 'confirm' }
  /** Say what became of operations that cannot be told (`operations`: only of these), and let the sale go on from there. */
  | { readonly verb: 'resolve'; readonly applied: boolean; readonly operations?: readonly string[] };

export interface By {
  readonly who: string;
  readonly reason: string;
}

export interface Operated {
  readonly before: State;
  readonly after: State;
  /** Steps it took, as their facts. */
  readonly facts: readonly string[];
  readonly verdicts: number;
}

/**
 * Throws BRX_REFUSED with what to do instead where the verb does not fit the sale as it is, and then nothing has happened. What an
 * operator saw may be over by the time it is done: everything is decided under the lane, from what is true then.
 */
export async function operateSaga(deps: AdvanceDeps, target: { userId: string; purchaseId: string }, verb: SagaVerb, by: By): Promise<Operated> {
  await deps.purchase.encoder.prepare();
  const { userId, purchaseId } = target;
  let saga: Saga | undefined;
  let verdicts: readonly Verdict[] = [];
  try {
    const { steps } = await advance(deps, [{ ...target, stimulus: stimulusOf(verb) }], {
      async before(tx) {
        saga = await readSaga(tx, target);
        const [operations = []] = await readOperations(tx, [target]);
        refuseUnfit(saga, operations, verb);
        verdicts = verdictsOf(verb, operations, by);
        if ((await giveVerdicts(tx, verdicts)) !== verdicts.length) throw new Error('operations changed under the lane lock');
      },
      async after(tx, _unknown, taken) {
        if (verb.verb !== 'retry' && taken.length === 0) throw unfit(target, saga, `${verb.verb} changes nothing as it stands`);
        const detail = { userId, from: saga?.state, verdicts: verdicts.map(({ id, from, to }) => ({ id, from, to })), facts: taken.map(({ fact }) => fact.fact) };
        await recordOperatorAction(tx, { ...by, action: `saga.${verb.verb}`, target: purchaseId, detail });
      },
    });
    const before = saga?.state ?? 'RESERVED';
    return { before, after: steps.at(-1)?.saga.state ?? before, facts: steps.map(({ fact }) => fact.fact), verdicts: verdicts.length };
  } catch (error) {
    if (error instanceof DatabaseFailure && error.kind === 'duplicate') throw unfit(target, saga, 'another operation of the same product is under way', { remedy: 'try again in a moment', cause: error });
    throw error instanceof DatabaseFailure ? toBrxError(error) : error;
  }
}

function stimulusOf({ verb }: SagaVerb): Stimulus {
  switch (verb) {
    case 'retry':
      return { kind: 'resume', verb: 'retry' };
    case 'resolve':
      return { kind: 'resume', verb: 'resolve' };
    case 'compensate':
    case 'confirm':
      return { kind: verb };
  }
}

async function readSaga(tx: Transaction, { userId, purchaseId }: { userId: string; purchaseId: string }): Promise<Saga> {
  const entry = { userId, purchaseId, saga: undefined as Saga | undefined, storedVersion: 0, operations: [], listings: [], covered: true };
  await readSagas(tx, [entry]);
  if (entry.saga === undefined) throw new BrxError('BRX_REFUSED', `there is no purchase ${purchaseId} of user ${userId}`, { remedy: '`brx-sync saga list` shows which there are' });
  return entry.saga;
}

type Seen = Pick<Saga, 'purchaseId' | 'state' | 'cancelled'>;
type SeenOperation = Pick<Operation, 'id' | 'kind' | 'state'>;

export interface Refusal {
  readonly problem: string;
  readonly remedy: string | undefined;
}

/** Why a verb would be refused of a sale as it was seen; null: it would not, as far as can be seen. */
export function refusalOf(saga: Seen, operations: readonly SeenOperation[], verb: SagaVerb): Refusal | null {
  try {
    refuseUnfit(saga, operations, verb);
    return null;
  } catch (error) {
    if (error instanceof BrxError && error.code === 'BRX_REFUSED') return { problem: error.message, remedy: error.remedy };
    throw error;
  }
}

function refuseUnfit(saga: Seen, operations: readonly SeenOperation[], verb: SagaVerb): void {
  const open = operations.filter(isUntold);
  switch (verb.verb) {
    case 'retry':
      if (ENDED.has(saga.state)) throw unfit(saga, saga, 'it has ended: there is nothing to try again', { remedy: saga.state === 'CONFIRMED' ? '`brx-sync saga compensate` undoes a confirmed sale' : 'a new purchase is the way to sell it again' });
      break;
    case 'compensate':
      if (saga.state === 'NEEDS_OPERATOR' && open.length > 0) throw unfit(saga, saga, `what became of ${named(open)} is not known, so it cannot be undone`, { remedy: 'look on CardTrader, then `brx-sync saga resolve --applied` or `--not-applied`; the sale goes on from there' });
      if (saga.state === 'COMPENSATED' || saga.state === 'REJECTED') throw unfit(saga, saga, 'it is undone already');
      break;
    case 'confirm': {
      if (saga.cancelled) throw unfit(saga, saga, 'a cancellation of it waits', { remedy: '`brx-sync saga compensate` carries the cancellation out' });
      const sent = operations.filter(({ state }) => state === 'SENT');
      if (sent.length > 0) throw unfit(saga, saga, `${named(sent)} is under way`, { remedy: 'try again in a moment' });
      if (ENDED.has(saga.state) || saga.state === 'RESERVED' || saga.state === 'COMPENSATING') throw unfit(saga, saga, 'only a sale that has called CardTrader and is not being undone can be let stand');
      if (operations.some(({ kind, state }) => kind === 'RETURN' && state !== 'WITHDRAWN')) throw unfit(saga, saga, 'some of it was given back already', { remedy: '`brx-sync saga resolve` settles what is left' });
      break;
    }
    case 'resolve': {
      if (saga.state !== 'NEEDS_OPERATOR') throw unfit(saga, saga, 'it does not need an operator', { remedy: '`brx-sync saga show` tells what it waits for' });
      const unknown = verb.operations?.filter((id) => !operations.some((operation) => operation.id === id)) ?? [];
      if (unknown.length > 0) throw unfit(saga, saga, `${unknown.join(', ')} is not an operation of it`, { remedy: '`brx-sync saga show` lists them' });
      break;
    }
  }
}

/** What cannot be told, or was refused although it must be done. */
const isUntold = ({ kind, state }: SeenOperation): boolean => state === 'NEEDS_OPERATOR' || (kind === 'RETURN' && state === 'REFUSED');

function verdictsOf(verb: SagaVerb, operations: readonly Operation[], { who, reason }: By): Verdict[] {
  const said = (what: string): string => `${who} ${what}: ${reason}`;
  switch (verb.verb) {
    case 'retry':
      return operations.filter((operation) => isUntold(operation) || operation.state === 'PENDING').map(({ id, state }) => ({ id, from: state, to: state === 'NEEDS_OPERATOR' ? 'UNKNOWN' : 'PENDING', note: said('has it tried again') }));
    case 'compensate':
      return [];
    case 'confirm':
      return operations.filter(({ kind, state }) => kind === 'TAKE' && (state === 'PENDING' || state === 'UNKNOWN' || state === 'NEEDS_OPERATOR')).map(({ id, state }) => ({ id, from: state, to: 'APPLIED', note: said('says it is done') }));
    case 'resolve':
      return operations
        .filter((operation) => isUntold(operation) && (verb.operations?.includes(operation.id) ?? true))
        .map(({ id, kind, state }): Verdict => {
          if (verb.applied) return { id, from: state, to: 'APPLIED', note: said('says it took effect') };
          // What was to be given back and was not is given back now.
          if (kind === 'RETURN') return { id, from: state, to: 'PENDING', note: said('says it did not take effect') };
          return { id, from: state, to: 'REFUSED', note: said('says it did not take effect') };
        });
  }
}

const named = (operations: readonly SeenOperation[]): string => operations.map(({ id, kind }) => `${kind} ${id}`).join(', ');

function unfit({ purchaseId }: { purchaseId: string }, saga: Pick<Saga, 'state'> | undefined, why: string, options: { remedy?: string; cause?: unknown } = {}): BrxError {
  return new BrxError('BRX_REFUSED', `purchase ${purchaseId}${saga === undefined ? '' : ` is ${saga.state}`}: ${why}`, options);
}
