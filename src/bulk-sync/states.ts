import { unheardItems } from '../orders/index.ts';
import type { Transaction } from '../platform/postgres/index.ts';
import type { State } from './decide.ts';
import { readStates } from './items.sql.ts';

/** What is known here of these products, one by one; an item that is about to change by what happened there before counts as changed. Needs the user's lane. */
export async function statesOf(tx: Transaction, userId: string, products: readonly { productId: number; named: string | null }[], since: number): Promise<State[]> {
  const states = await readStates(tx, userId, products, since);
  const unheard = await unheardItems(tx, userId, [...new Set(states.flatMap(({ itemId, exists }) => (exists && itemId !== null ? [itemId] : [])))]);
  return unheard.size === 0 ? states : states.map((state) => (state.itemId !== null && unheard.has(state.itemId) ? { ...state, changed: true } : state));
}
