import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RemoteProduct } from '../../src/marketplace/client/index.ts';
import { copiesMoved, plan } from '../../src/marketplace/dispatcher/plan.ts';
import type { Work } from '../../src/marketplace/dispatcher/work.ts';
import { needOf, type Stock } from '../../src/marketplace/listing-sync/index.ts';
import type { Listing } from '../../src/marketplace/listings/index.ts';
import { seed } from '../support/seed.ts';

/**
 * Protects: whatever happens in whatever order (changes here, sales there before and between, their ADJUSTs late, sales and returns of ours),
 * CardTrader never shows a copy that is not there, and ends with what is here. The model below is the world; what is decided is the program's.
 */
const BASE = { priceCents: 100, currency: 'EUR', properties: null, blueprintId: 7 } as const;

class World {
  remote: number;
  onHand: number;
  readonly buffer: number;
  /** Sold there, not heard of. */
  readonly unheard: number[] = [];
  listing: Listing;
  /** What sales of ours took, and of how much. */
  readonly taken: { quantity: number; there: number }[] = [];

  constructor(onHand: number, buffer: number) {
    this.onHand = onHand;
    this.buffer = buffer;
    this.remote = Math.max(0, onHand - buffer);
    this.listing = { userId: 'u', itemId: 'i', productId: 1, blueprintId: 7, quantity: this.remote, priceCents: 100, currency: 'EUR', confirmedAt: 0, operationId: null, gone: false, product: { name: null, description: null, userDataField: null, graded: null, properties: {} }, soldLines: [], mismatch: null, unaccounted: 0 };
  }

  /** Copies that there really are. */
  get real(): number {
    return this.onHand - this.unheard.reduce((sum, quantity) => sum + quantity, 0);
  }

  #work(kind: Work['kind'], quantity: number, taken: number | null = null): Work {
    const stock: Stock = { ...BASE, onHand: this.onHand, buffer: this.buffer, eventId: 'e' };
    const work: Work = { id: 'op', userId: 'u', purchaseId: null, kind, quantity, state: 'PENDING', createdAt: 0, attempts: 0, intent: null, listing: this.listing, listed: true, stock, problem: null, taken, jobId: null, sentAt: null, traceparent: null };
    return { ...work, quantity: copiesMoved(work) };
  }

  #learn(quantity: number, own: number): void {
    const strange = quantity - this.listing.quantity - own;
    this.listing = { ...this.listing, quantity, unaccounted: this.listing.unaccounted + strange };
  }

  soldThere(quantity: number): void {
    const sold = Math.min(quantity, this.remote);
    if (sold === 0) return;
    this.remote -= sold;
    this.unheard.push(sold);
  }

  hear(): void {
    const sold = this.unheard.shift();
    if (sold === undefined) return;
    if (sold <= this.onHand) this.onHand -= sold; // else dead-lettered: the last copy went on both sides
    this.listing = { ...this.listing, unaccounted: this.listing.unaccounted + sold };
  }

  change(by: number): void {
    this.onHand += Math.max(by, -Math.max(0, Math.min(this.onHand, this.real)));
  }

  /** Read, decide, a sale there in between, write, look for it, lower. True if our sale came about. */
  #carryOut(work: Work, between: number): boolean {
    const product: RemoteProduct = { id: 1, blueprintId: 7, quantity: this.remote, priceCents: 100, currency: 'EUR', userDataField: null, properties: {}, name: null, description: null, graded: null, tag: null, bundleSize: null, expansionId: null, gameId: null, categoryId: null, sellerId: null };
    const next = plan(work, product);
    if (next.plan === 'too_few') {
      this.#learn(next.found, 0);
      return false;
    }
    if (next.plan === 'same') {
      this.#learn(next.before, 0);
      return true;
    }
    if (next.plan !== 'write') throw new Error(next.plan);
    const { before, target } = next;
    const was = this.remote;
    this.soldThere(between);
    const unseen = was - this.remote;
    this.remote = target;
    this.#learn(target, target - before + unseen);
    const refused = work.kind === 'TAKE' && before - unseen < work.quantity;
    const lower = refused ? Math.max(0, unseen - work.quantity) : unseen;
    const lowered = Math.max(0, this.remote - lower);
    const own = lowered - this.remote;
    this.remote = lowered;
    this.#learn(lowered, own);
    return !refused;
  }

  sync(between: number): boolean {
    const work = this.#work('SYNC', 0);
    if (needOf(work.stock, this.listing, true, null) === 'nothing') return false;
    this.#carryOut(work, between);
    return true;
  }

  sell(quantity: number, between: number): void {
    if (quantity > this.onHand) return;
    const work = this.#work('TAKE', quantity);
    const there = work.quantity;
    if (there === 0 || this.#carryOut(work, between)) {
      this.onHand -= quantity;
      this.taken.push({ quantity, there });
    }
  }

  giveBack(between: number): void {
    const sale = this.taken.pop();
    if (sale === undefined) return;
    if (sale.there > 0) this.#carryOut(this.#work('RETURN', sale.quantity, sale.there), between);
    this.onHand += sale.quantity;
  }
}

type Step = (world: World) => void;
const few = fc.integer({ min: 0, max: 3 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  few.map((n): Step => (world) => world.soldThere(n)),
  fc.constant<Step>((world) => world.hear()),
  fc.integer({ min: -4, max: 4 }).map((n): Step => (world) => world.change(n)),
  few.map((n): Step => (world) => void world.sync(n)),
  fc.tuple(fc.integer({ min: 1, max: 3 }), few).map(([n, between]): Step => (world) => world.sell(n, between)),
  few.map((n): Step => (world) => world.giveBack(n)),
);

describe('any order of changes here, sales there, their news, and sales of ours', () => {
  test(`both sides are equal once all is heard and looked at (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 2 }), fc.array(steps, { maxLength: 25 }), (onHand, buffer, history) => {
        const world = new World(onHand, buffer);
        for (const step of history) {
          step(world);
          expect(world.onHand).toBeGreaterThanOrEqual(0);
        }
        while (world.unheard.length > 0) world.hear();
        let looks = 0;
        while (world.sync(0)) expect((looks += 1)).toBeLessThan(4);
        expect([world.remote, world.listing.quantity - world.listing.unaccounted]).toEqual([Math.max(0, world.onHand - buffer), world.remote]);
      }),
      { seed, numRuns: 3_000 },
    );
  });

  test(`a look puts up no copy that is not there (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9 }), fc.array(steps, { maxLength: 25 }), (onHand, history) => {
        const world = new World(onHand, 0);
        for (const step of history) step(world);
        world.sync(0);
        expect(world.remote).toBeLessThanOrEqual(Math.max(0, world.real));
      }),
      { seed, numRuns: 3_000 },
    );
  });
});
