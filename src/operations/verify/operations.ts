import type { Difference } from './differences.ts';
import type { FoundOperation, FoundSaga } from './found-sales.ts';
import { ENDED } from './sale-rules.ts';

type Problem = Pick<Difference, 'what' | 'problem' | 'expected' | 'found'>;
const OPEN = new Set(['PENDING', 'SENT', 'UNKNOWN', 'NEEDS_OPERATOR']);

/**
 * What a sale asked of CardTrader, by its own records: each item taken once at most, each give-back of one take that took effect, and
 * at the end of the sale nothing open: all taken if it stands, all given back if it does not. Whether CardTrader did each once only its
 * own books can tell.
 */
export function compareOperations({ state, operations }: Pick<FoundSaga, 'state' | 'operations'>, wants: readonly { itemId: string; quantity: number }[]): Problem[] {
  const problems: Problem[] = [];
  const say = (problem: string, expected: unknown, found: FoundOperation | readonly FoundOperation[] | null): void => void problems.push({ what: 'operation', problem, expected, found });
  const takes = operations.filter(({ kind }) => kind === 'TAKE');
  const returns = operations.filter(({ kind }) => kind === 'RETURN');

  for (const [itemId, same] of grouped(takes, ({ itemId: item }) => item)) {
    const wanted = wants.find((want) => want.itemId === itemId)?.quantity;
    if (same.length > 1) say('an item of a sale was to be taken on CardTrader more than once', 'one TAKE', same);
    else if (same[0]?.quantity !== wanted) say('another quantity was to be taken on CardTrader than was sold', wanted ?? null, same[0] ?? null);
  }
  for (const [take, same] of grouped(returns, (operation) => operation.returns ?? '')) {
    const of = takes.find(({ id }) => id === take);
    if (same.length > 1) say('what a sale took on CardTrader was to be given back more than once', 'one RETURN', same);
    else if (of?.state !== 'APPLIED' || of.quantity !== same[0]?.quantity) say('something is given back on CardTrader that was not taken there', of ?? null, same[0] ?? null);
  }
  if (!ENDED.has(state)) return problems;

  const open = operations.filter((operation) => OPEN.has(operation.state));
  if (open.length > 0) say('a sale has ended with operations on CardTrader still open', 'none', open);
  else if (state === 'CONFIRMED' && operations.some(({ kind, state: became }) => kind !== 'TAKE' || became !== 'APPLIED')) say('a sale was confirmed without all of it being taken on CardTrader', 'every TAKE APPLIED, no RETURN', operations);
  else if (state === 'REJECTED' && operations.length > 0) say('a rejected sale asked something of CardTrader', 'nothing', operations);
  else if (state === 'COMPENSATED') {
    for (const take of takes) {
      const back = returns.find((operation) => operation.returns === take.id);
      if (take.state === 'APPLIED' && back?.state !== 'APPLIED') say('a sale was undone, and what it took on CardTrader was not given back', 'a RETURN that is APPLIED', back ?? take);
    }
  }
  return problems;
}

function grouped<T>(list: readonly T[], key: (entry: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of list) groups.set(key(entry), [...(groups.get(key(entry)) ?? []), entry]);
  return groups;
}
