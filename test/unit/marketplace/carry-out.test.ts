import { describe, expect, test } from 'vitest';
import { RemoteModel, type Asked, type RemoteRules, type Settled, type Step } from '../../support/remote-model.ts';

/**
 * Protects: what becomes of an operation, for each way its write can end and what CardTrader shows afterwards (P5, P7). The requests come in this
 * order: read, write, orders; where the answer is lost: read, write, then after the quarantine read, orders, orders.
 */
const RULES: RemoteRules = { soldOut: 'vanish', zero: 'keep', dataFieldLength: 255 };
const UNMARKED: Partial<RemoteRules> = { dataFieldLength: 10 };
const OK: Step = { after: 2_000, soldBefore: 0, soldAfter: 0, fate: 'answered' };
const LOST: Step = { ...OK, fate: 'lost_after' };
const NEVER: Step = { ...OK, fate: 'lost_before' };
const sold = (soldBefore: number, step: Step = OK): Step => ({ ...step, soldBefore });

const take = (quantity: number): Asked => ({ kind: 'TAKE', quantity });
const giveBack = (quantity: number): Asked => ({ kind: 'RETURN', quantity });

interface End {
  readonly settled: Settled;
  /** Of the operation; how often it took effect. */
  readonly effects: number;
  /** For sale at the end. */
  readonly left: number;
  readonly model: RemoteModel;
}

async function run(asked: Asked, copies: number, steps: readonly Step[], rules: Partial<RemoteRules> = {}): Promise<End> {
  const model = new RemoteModel(copies, { ...RULES, ...rules }, steps);
  const settled = await model.settle(asked);
  return { settled, effects: model.effects.get(settled.id)?.length ?? 0, left: model.quantity, model };
}

type Row = [what: string, asked: Asked, copies: number, steps: readonly Step[], rules: Partial<RemoteRules>, end: [state: Settled['state'], reason: Settled['reason'], effects: number, left: number]];

test.each<Row>([
  ['answered', take(2), 5, [OK, OK, OK], {}, ['APPLIED', null, 1, 3]],
  ['answered, coming back', giveBack(2), 5, [OK, OK, OK], {}, ['APPLIED', null, 1, 7]],
  ['turned away, then answered', take(2), 5, [OK, { ...OK, fate: 'turned_away' }], {}, ['APPLIED', null, 1, 3]],
  ['the read is lost, then answered', take(2), 5, [NEVER], {}, ['APPLIED', null, 1, 3]],
  ['lost on the way there: sent again', take(2), 5, [OK, NEVER], {}, ['APPLIED', null, 1, 3]],
  ['lost on the way back: found by its marker', take(2), 5, [OK, LOST], {}, ['APPLIED', null, 1, 3]],
  ['the same twice in a row', take(2), 5, [OK, NEVER, OK, OK, OK, LOST], {}, ['APPLIED', null, 1, 3]],
  ['lost on the way back, and no room for a marker: told by the quantity', take(2), 5, [OK, LOST], UNMARKED, ['APPLIED', null, 1, 3]],
  ['lost on the way there, and no room for a marker', take(2), 5, [OK, NEVER], UNMARKED, ['APPLIED', null, 1, 3]],
  ['lost, no marker, and one is sold just while we look: both fit, an operator', take(1), 5, [OK, LOST, OK, sold(1)], UNMARKED, ['NEEDS_OPERATOR', 'unexplained', 1, 3]],
  ['lost, no marker, and a sale between read and write: both fit, an operator', take(1), 5, [OK, sold(1, LOST)], UNMARKED, ['NEEDS_OPERATOR', 'unexplained', 1, 4]],
  ['answered, only the look for sales is lost: it stays known that it took effect', take(1), 5, [OK, sold(1), NEVER], UNMARKED, ['APPLIED', null, 1, 3]],
  ['too few', take(3), 2, [OK], {}, ['REFUSED', 'remote_insufficient_stock', 0, 2]],
  ['sold between read and write: what is too much is lowered', take(2), 5, [OK, sold(1)], {}, ['APPLIED', null, 1, 2]],
  ['the last copy sold between read and write: theirs stands', take(1), 1, [OK, sold(1)], {}, ['REFUSED', 'remote_insufficient_stock', 0, 0]],
  ['the same where a sold out product stays at 0', take(1), 1, [OK, sold(1)], { soldOut: 'keep' }, ['REFUSED', 'remote_insufficient_stock', 1, 0]],
  ['sold out before the read', take(1), 1, [sold(1)], {}, ['REFUSED', 'remote_insufficient_stock', 0, 0]],
  ['taken off by hand before the read', take(1), 1, [{ ...OK, removed: true }], {}, ['REFUSED', 'remote_product_gone', 0, 0]],
  ['taken off by hand between read and write', take(1), 5, [OK, { ...OK, removed: true }], {}, ['REFUSED', 'remote_product_gone', 0, 0]],
  ['lost, and taken off by hand before anybody looked', take(1), 5, [OK, NEVER, { ...OK, removed: true }], {}, ['REFUSED', 'remote_product_gone', 0, 0]],
  ['all copies, answered', take(5), 5, [], {}, ['APPLIED', null, 1, 0]],
  ['all copies where 0 deletes, lost on the way back', take(5), 5, [OK, LOST], { zero: 'delete' }, ['APPLIED', null, 1, 0]],
  ['all copies where 0 is refused: deleted', take(5), 5, [], { zero: 'refuse' }, ['APPLIED', null, 1, 0]],
  ['the same, and the answer to the deletion is lost', take(5), 5, [OK, OK, LOST], { zero: 'refuse' }, ['APPLIED', null, 1, 0]],
  ['coming back to a product that is gone: listed anew', giveBack(2), 1, [sold(1)], {}, ['APPLIED', null, 1, 2]],
  ['the same, lost on the way there', giveBack(2), 1, [sold(1), OK, OK, NEVER], {}, ['APPLIED', null, 1, 2]],
  ['the same, lost on the way back: found by its marker, not listed twice', giveBack(2), 1, [sold(1), OK, OK, LOST], {}, ['APPLIED', null, 1, 2]],
  ['the same, and all of it is sold before anybody looks: not listed twice', giveBack(2), 1, [sold(1), OK, OK, LOST, sold(2)], {}, ['APPLIED', null, 1, 0]],
  ['coming back, lost on the way back, and all is sold before anybody looks: not put up twice', giveBack(2), 3, [OK, LOST, sold(5)], {}, ['APPLIED', null, 1, 0]],
  ['coming back, lost on the way there, and all there was is sold: listed anew', giveBack(2), 3, [OK, NEVER, sold(3)], {}, ['APPLIED', null, 1, 2]],
])('%s', async (_, asked, copies, steps, rules, end) => {
  const { settled, effects, left } = await run(asked, copies, steps, rules);
  expect([settled.state, settled.reason, effects, left]).toEqual(end);
});

describe('nothing is written where reading gives nothing', () => {
  test.each<[string, Asked, readonly Step[]]>([
    ['a sale', take(1), [NEVER, NEVER, NEVER]],
    ['coming back', giveBack(1), [NEVER, NEVER, NEVER]],
    ['an open outcome', take(1), [OK, LOST, NEVER, NEVER, NEVER]],
  ])('%s: read until it is answered, so what comes first after an outage is a read', async (_, asked, steps) => {
    const { settled, effects } = await run(asked, 5, steps);
    expect(settled.state).toBe('APPLIED');
    expect(effects).toBe(1);
    const calls = settled.evidence.filter(({ call }) => call !== 'note').map(({ call, outcome }) => `${call} ${outcome}`);
    expect(calls.filter((call) => call === 'read unknown')).toHaveLength(3);
    for (const [index, call] of calls.entries()) if (call === 'read unknown') expect(calls[index + 1]).toMatch(/^read/);
  });
});

test('what is to be seen is kept with the listing', async () => {
  expect((await run(take(2), 5, [OK, sold(1)])).model.listing.mismatch).toMatchObject({ kind: 'overwritten_sale', expected: 4, found: 5 });
  expect((await run(take(2), 5, [sold(1)])).model.listing.mismatch).toMatchObject({ kind: 'fewer', expected: 5, found: 4 });
  expect((await run(take(1), 5, [{ ...OK, removed: true }])).model.listing).toMatchObject({ gone: true, quantity: 0, mismatch: { kind: 'gone', expected: 5, found: null } });
  expect((await run(giveBack(2), 1, [sold(1), OK, OK, LOST, sold(2)])).model.listing).toMatchObject({ gone: true, quantity: 0, mismatch: { kind: 'fewer' } });
  expect((await run(take(2), 5, [OK, OK, OK])).model.listing.mismatch).toBeNull();
});
