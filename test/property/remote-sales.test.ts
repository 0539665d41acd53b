import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reckon } from '../../src/marketplace/dispatcher/remote-sales.ts';
import { NOON, sold } from '../support/operations.ts';
import { RemoteModel, type Asked, type Step } from '../support/remote-model.ts';
import { seed } from '../support/seed.ts';

/**
 * Protects: buyers on CardTrader buy between any two requests of ours, and answers are lost. What is written and what is said about it stay
 * right: no operation takes effect twice, no sale of somebody else is taken for ours or hidden by it (P5, P7).
 */
const runs = { seed, numRuns: 1_000 };
const copies = fc.integer({ min: 0, max: 3 });

describe(`the reckoning after a write (seed ${seed})`, () => {
  const events = fc.record({ first: fc.integer({ min: 0, max: 20 }), seen: copies, unseen: copies, afterwards: copies, change: fc.integer({ min: -3, max: 3 }), gap: fc.array(fc.nat(3_000), { minLength: 6, maxLength: 6 }) });

  test('tells exactly how many sales the write has overwritten, whatever was sold before, between and after', () => {
    fc.assert(
      fc.property(events, ({ first, seen, unseen, afterwards, change, gap }) => {
        const [toSeen, toRead, toUnseen, toWrite, toAfter] = gap as [number, number, number, number, number];
        const before = first - seen;
        const target = before + change;
        fc.pre(before - unseen >= 0 && target - afterwards >= 0);
        const seenAt = NOON + toSeen;
        const readAt = seenAt + toRead;
        const unseenAt = readAt + toUnseen;
        const afterAt = unseenAt + toWrite + toAfter;
        const lines = [sold(seen, seenAt, 1), sold(unseen, unseenAt, 2), sold(afterwards, afterAt, 3)].filter(({ quantity }) => quantity > 0);
        const date = Math.floor(readAt / 1_000) * 1_000; // CardTrader says whole seconds
        expect(reckon({ confirmed: first, confirmedAt: NOON, before, readAt: date, target, now: target - afterwards, lines })).toEqual({ unseen, certain: true });
      }),
      runs,
    );
  });

  test('claims at most what was sold, and never less than was overwritten, when somebody changes quantities by hand as well', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: -4, max: 4 }), fc.integer({ min: 1, max: 4 }), ({ first, unseen, afterwards, change, gap }, byHandBefore, byHandAfter) => {
        const before = first + byHandBefore;
        const target = before + change;
        fc.pre(before - unseen >= 0 && target - afterwards >= 0 && before >= 0);
        const readAt = NOON + 60_000;
        const lines = [sold(unseen, readAt + gap[0]!, 2), sold(afterwards, readAt + gap[0]! + gap[1]!, 3)].filter(({ quantity }) => quantity > 0);
        // Put up by hand after the write: it hides what went afterwards, and so can only raise the estimate.
        const { unseen: told } = reckon({ confirmed: first, confirmedAt: NOON, before, readAt, target, now: target - afterwards + byHandAfter, lines });
        expect(told).toBeLessThanOrEqual(unseen + afterwards);
        if (byHandBefore >= 0) expect(told).toBeGreaterThanOrEqual(Math.min(unseen, unseen + afterwards - Math.max(0, afterwards - byHandAfter)));
      }),
      runs,
    );
  });
});

describe(`operations among buyers, with answers lost (seed ${seed})`, () => {
  const step: fc.Arbitrary<Step> = fc.record({
    after: fc.oneof({ weight: 5, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(5_000) }),
    soldBefore: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: copies }),
    soldAfter: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: copies }),
    fate: fc.oneof({ weight: 6, arbitrary: fc.constant('answered' as const) }, { weight: 4, arbitrary: fc.constantFrom('lost_before' as const, 'lost_after' as const, 'turned_away' as const) }),
  });
  const asked: fc.Arbitrary<Asked> = fc.record({ kind: fc.constantFrom('TAKE' as const, 'TAKE' as const, 'RETURN' as const), quantity: fc.integer({ min: 1, max: 3 }) });
  const world = fc.record({ first: fc.integer({ min: 1, max: 9 }), soldOut: fc.constantFrom('vanish' as const, 'keep' as const), zero: fc.constantFrom('keep' as const, 'delete' as const, 'refuse' as const), operations: fc.array(asked, { minLength: 1, maxLength: 4 }), steps: fc.array(step, { maxLength: 40, size: 'max' }) });

  async function run({ first, soldOut, zero, operations, steps }: typeof world extends fc.Arbitrary<infer W> ? W : never, dataFieldLength: number) {
    const model = new RemoteModel(first, { soldOut, zero, dataFieldLength }, steps);
    for (const operation of operations) if ((await model.settle(operation)).state === 'NEEDS_OPERATOR') break; // nothing goes on before somebody looked
    return { model, stuck: model.settled.filter(({ state }) => state === 'NEEDS_OPERATOR') };
  }

  const check = ({ model, first }: { model: RemoteModel; first: number }): void => {
    let left = first;
    let soldBefore = 0;
    let refused = false;
    for (const { id, kind, state, quantity, soldUntil } of model.settled) {
      const effects = model.effects.get(id) ?? [];
      expect([id, kind, state, effects.length <= 1]).toEqual([id, kind, state, true]);
      if (state === 'APPLIED' && kind !== 'LOWER') expect([id, kind, effects.length]).toEqual([id, kind, 1]);
      const net = state !== 'APPLIED' || kind === 'LOWER' ? 0 : kind === 'TAKE' ? -quantity : quantity;
      // Below 0: a copy we put up again was sold before it could be taken off. Nobody can prevent that; it is to be seen in the listing.
      left = Math.max(0, left - (soldUntil - soldBefore) + net);
      soldBefore = soldUntil;
      // What a refused one saw is confirmed to the second only, and what it had taken is not put up again: fewer for sale, never more.
      if (state === 'REFUSED') refused = true;
    }
    left -= model.sold - soldBefore;
    expect(model.quantity).toBeLessThanOrEqual(Math.max(0, left));
    if (!refused) expect(model.quantity).toBe(Math.max(0, left));
    expect(model.listing.quantity).toBeGreaterThanOrEqual(model.quantity); // whatever was sold since is found by the next one
  };

  test('with a marker: each takes effect once or not at all, and what is for sale is what is left; nobody is needed for a sale', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const { model, stuck } = await run(given, 255);
        // What comes back and is sold out before anybody looks leaves no marker; sales in the very second of a read may then leave two stories.
        for (const { kind } of stuck) expect([kind, model.quantity]).toEqual(['RETURN', 0]);
        if (stuck.length === 0) return check({ model, first: given.first });
        for (const { id } of model.settled) expect((model.effects.get(id) ?? []).length).toBeLessThanOrEqual(1);
      }),
      runs,
    );
  });

  test('without room for a marker: the same, or an operator is asked; never a guess', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const { model, stuck } = await run(given, 10);
        if (stuck.length === 0) return check({ model, first: given.first });
        for (const { id } of model.settled) expect((model.effects.get(id) ?? []).length).toBeLessThanOrEqual(1);
      }),
      runs,
    );
  });
});
