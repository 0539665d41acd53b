import { expect, test } from 'vitest';
import { giveBuyerBack, HIDDEN, hideBuyer } from '../../src/http/buyers.ts';

/** Protects: who buys does not leave by HTTP, and comes back as it was. */
test('a buyer is hidden, nothing else is touched, and given back only where it was hidden', () => {
  const bought = { purchase_id: 'p', buyer_id: 'mallory' };
  expect(hideBuyer(bought)).toEqual({ purchase_id: 'p', buyer_id: HIDDEN });
  expect(bought.buyer_id).toBe('mallory');
  for (const value of [null, undefined, 3, 'x', { quantity: 3 }, { buyer_id: null }]) expect(hideBuyer(value)).toEqual(value);
  expect(giveBuyerBack({ purchase_id: 'q', buyer_id: HIDDEN }, bought)).toEqual({ purchase_id: 'q', buyer_id: 'mallory' });
  expect(giveBuyerBack({ buyer_id: 'eve' }, bought)).toEqual({ buyer_id: 'eve' });
  expect(giveBuyerBack({ buyer_id: HIDDEN }, null)).toEqual({ buyer_id: HIDDEN });
});
