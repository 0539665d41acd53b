import type { Fact, Saga, State } from './saga.ts';

/** The saga after a fact. Total: what may follow what is decided in decide.ts, and once more by the database. */
export function evolve(saga: Saga, fact: Fact): Saga {
  const stepped = { ...saga, version: saga.version + 1, state: stateAfter(saga, fact) };
  switch (fact.fact) {
    case 'rejected':
    case 'compensating':
      return { ...stepped, reason: fact.reason };
    case 'compensated':
      return { ...stepped, reason: fact.reason, sold: false };
    case 'confirmed':
      return { ...stepped, reason: null, sold: true };
    case 'cancel_noted':
      return { ...stepped, cancelled: true };
    case 'reserved':
    case 'called':
    case 'unknown':
    case 'found':
    case 'giving_back':
    case 'stuck':
    case 'resumed':
      return stepped;
  }
}

function stateAfter(saga: Saga, fact: Fact): State {
  switch (fact.fact) {
    case 'reserved':
      return 'RESERVED';
    case 'rejected':
      return 'REJECTED';
    case 'called':
    case 'found':
      return 'CALLING';
    case 'unknown':
      return 'RECONCILING';
    case 'confirmed':
      return 'CONFIRMED';
    case 'compensating':
    case 'giving_back':
      return 'COMPENSATING';
    case 'compensated':
      return 'COMPENSATED';
    case 'stuck':
      return 'NEEDS_OPERATOR';
    case 'cancel_noted':
      return saga.state;
    case 'resumed':
      // A saga that was undoing something goes on undoing it; one that was not goes on calling.
      return saga.reason === null ? 'CALLING' : 'COMPENSATING';
  }
}
