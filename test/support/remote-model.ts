import type { NewProduct, Outcome, RemoteOrder, RemoteProduct } from '../../src/marketplace/client/index.ts';
import { carryOut } from '../../src/marketplace/dispatcher/carry-out.ts';
import type { Desk } from '../../src/marketplace/dispatcher/desk.ts';
import type { Intent, Work } from '../../src/marketplace/dispatcher/work.ts';
import type { Evidence, OperationReason } from '../../src/marketplace/operations/index.ts';
import type { Listing } from '../../src/marketplace/listings/index.ts';
import { uuid } from './events.ts';
import { fakeClock } from './fake-clock.ts';
import { BLUEPRINT, ITEM, listing, NOON, order, orderLine, product, throttling, uncertainty, USER } from './operations.ts';

/**
 * The smallest CardTrader there is: one product, its buyers, and a script of what happens when. One operation after the other is carried
 * out on it by the code under test, answers are lost, and every write is counted. No network, no time but what the script says.
 */
export interface Step {
  /** Milliseconds that go by before this request arrives. */
  readonly after: number;
  /** Copies that buyers want before it arrives, and after it took effect; they get what there is. */
  readonly soldBefore: number;
  readonly soldAfter: number;
  /** `lost_before`: it never arrives; `lost_after`: it takes effect. Either way there is no answer. `turned_away`: a 429. */
  readonly fate: 'answered' | 'lost_before' | 'lost_after' | 'turned_away';
  /** The product is taken off before this request arrives, by hand. */
  readonly removed?: boolean;
}

export interface RemoteRules {
  /** Whether a product of which the last copy is sold is gone, or stays at 0. */
  readonly soldOut: 'vanish' | 'keep';
  /** What PUT of 0 does. */
  readonly zero: 'keep' | 'delete' | 'refuse';
  /** Room in `user_data_field`. */
  readonly dataFieldLength: number;
}

export interface Asked {
  readonly kind: Work['kind'];
  readonly quantity: number;
}

export interface Settled {
  readonly id: string;
  readonly kind: Work['kind'];
  readonly quantity: number;
  readonly state: 'APPLIED' | 'REFUSED' | 'NEEDS_OPERATOR';
  /** Copies sold there until then, since the beginning. */
  readonly soldUntil: number;
  readonly reason: OperationReason | null;
  readonly evidence: readonly Evidence[];
}

/** Nobody waits for ever: an operation that is not settled after so many rounds hangs. */
const ROUNDS = 60;
const QUARANTINE_MS = 45_000;
const RAW: Omit<Step, 'after'> = { soldBefore: 0, soldAfter: 0, fate: 'answered' };

export class RemoteModel {
  listing: Listing;
  /** Copies of each operation's effects, in order. */
  readonly effects = new Map<string, number[]>();
  /** Copies sold there. */
  sold = 0;
  readonly settled: Settled[] = [];
  readonly #rules: RemoteRules;
  readonly #steps: Step[];
  #product: RemoteProduct | null;
  #orders: RemoteOrder[] = [];
  #ids = 1_000;
  #now = NOON + 60_000;

  constructor(copies: number, rules: RemoteRules, steps: readonly Step[]) {
    this.listing = listing({ quantity: copies });
    this.#product = product(copies);
    this.#rules = rules;
    this.#steps = [...steps];
  }

  /** What is for sale. */
  get quantity(): number {
    return this.#product?.quantity ?? 0;
  }

  /** Carries it out until it is settled; then whatever else that made necessary. */
  async settle({ kind, quantity }: Asked): Promise<Settled> {
    let work: Work = { id: uuid((this.#ids += 1)), userId: USER, purchaseId: kind === 'LOWER' ? null : uuid(2), kind, quantity, state: 'PENDING', createdAt: this.#now, attempts: 0, intent: null, listing: this.listing, listed: true, stock: null, problem: null, taken: null, jobId: null, sentAt: null, traceparent: null };
    const evidence: Evidence[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      let sent = null as Intent | null;
      const done = await carryOut(this.#desk((intent) => (sent = intent)), work);
      evidence.push(...done.evidence);
      const { result } = done;
      if (result === null) throw new Error('nothing was recorded');
      if (result.listing !== null) this.listing = result.listing;
      if (result.to === 'PENDING' || result.to === 'UNKNOWN') {
        work = { ...work, state: result.to, intent: sent ?? work.intent, attempts: work.attempts + (sent === null ? 0 : 1), listing: this.listing };
        this.#now += result.againMs ?? 0;
        continue;
      }
      const settled: Settled = { id: work.id, kind, quantity, state: result.to, reason: result.reason, soldUntil: this.sold, evidence };
      this.settled.push(settled);
      if (result.lower > 0) await this.settle({ kind: 'LOWER', quantity: result.lower });
      return settled;
    }
    throw new Error(`a ${kind} is not settled after ${ROUNDS} rounds: ${JSON.stringify(evidence.slice(-6))}`);
  }

  #desk(intended: (intent: Intent) => void): Desk {
    let name: string | undefined;
    const client: Desk['client'] = {
      readProduct: (_caller, productId) => this.#call(() => ({ product: this.#product?.id === productId ? this.#product : null, unread: [] }) as never),
      exportProducts: () => this.#call(() => ({ items: this.#product === null ? [] : [this.#product], unread: [] })),
      updateProduct: (_caller, productId, change) => this.#call(() => this.#update(name, productId, change)),
      createProduct: (_caller, made) => this.#call(() => this.#create(name, made)),
      deleteProduct: (_caller, productId) => this.#call(() => this.#delete(name, productId)),
      bulkUpdate: () => Promise.reject(new Error('sales make no bulk calls')),
      bulkCreate: () => Promise.reject(new Error('sales make no bulk calls')),
    };
    return {
      client,
      clock: { ...fakeClock(), now: () => this.#now },
      quarantineMs: QUARANTINE_MS,
      dataFieldLength: this.#rules.dataFieldLength,
      caller: (operationId) => {
        name = operationId;
        return { userId: USER, token: 'a' };
      },
      // A read is asked again where CardTrader turns it away.
      read: async (ask) => {
        for (;;) {
          const outcome = await ask();
          if (outcome.outcome !== 'throttled') return outcome;
        }
      },
      heard: () => Promise.resolve(),
      orders: () => this.#call(() => ({ items: this.#orders.toReversed(), unread: [] })),
      intend: (_work, intent) => {
        intended(intent);
        return Promise.resolve(true);
      },
      backoffMs: () => 1_000,
      jobPatienceMs: 60_000,
      job: () => Promise.reject(new Error('sales have no jobs')),
      named: () => Promise.reject(new Error('sales have no jobs')),
      wholeStock: () => Promise.reject(new Error('sales read one product')),
      withoutBulk: () => undefined,
      mayZeroInJobs: () => true,
      withoutZeroInJobs: () => undefined,
      mayGoOn: () => true,
    };
  }

  #call<T>(effect: () => T | Outcome<T>): Promise<Outcome<T>> {
    const { after, soldBefore, soldAfter, fate, removed = false } = this.#steps.shift() ?? { ...RAW, after: 100 };
    this.#now += after;
    this.#sell(soldBefore);
    if (removed) this.#product = null;
    if (fate === 'turned_away') return Promise.resolve(throttling('rate_limited'));
    if (fate === 'lost_before') return Promise.resolve(uncertainty('timeout'));
    const answer = effect();
    const date = Math.floor(this.#now / 1_000) * 1_000;
    this.#sell(soldAfter);
    if (fate === 'lost_after') return Promise.resolve(uncertainty('timeout'));
    if (typeof answer === 'object' && answer !== null && 'outcome' in answer) return Promise.resolve(answer);
    return Promise.resolve({ outcome: 'applied', status: 200, requestId: null, serverDate: date, durationMs: 1, body: answer });
  }

  #sell(wanted: number): void {
    const quantity = Math.min(wanted, this.quantity);
    if (quantity === 0 || this.#product === null) return;
    this.sold += quantity;
    this.#ids += 1;
    this.#orders.push(order({ id: this.#ids, paidAt: this.#now, lines: [orderLine({ id: this.#ids, productId: this.#product.id, quantity, userDataField: this.#product.userDataField, createdAt: this.#now })] }));
    const left = this.#product.quantity - quantity;
    this.#product = left === 0 && this.#rules.soldOut === 'vanish' ? null : { ...this.#product, quantity: left };
    this.#now += 1; // what happens next is later
  }

  #took(id: string | undefined, before: number, after: number): void {
    if (id === undefined) throw new Error('a write that names no operation');
    this.effects.set(id, [...(this.effects.get(id) ?? []), after - before]);
  }

  #update(id: string | undefined, productId: number, { quantity, userDataField }: { quantity?: number; userDataField?: string }): Outcome<never> | { product: RemoteProduct; warnings: [] } {
    const was = this.#product;
    if (was === null || was.id !== productId) return { outcome: 'refused', reason: 'not_found', status: 404, requestId: null, serverDate: null, durationMs: 1, message: 'not found', code: 'not_found', fields: [] };
    const now = quantity ?? was.quantity;
    if (now === 0 && this.#rules.zero === 'refuse') return { outcome: 'refused', reason: 'validation', status: 422, requestId: null, serverDate: null, durationMs: 1, message: 'quantity must be greater than 0', code: 'validation_error', fields: [] };
    this.#took(id, was.quantity, now);
    const written = { ...was, quantity: now, ...(userDataField !== undefined && { userDataField }) };
    this.#product = now === 0 && this.#rules.zero === 'delete' ? null : written;
    return { product: written, warnings: [] };
  }

  #create(id: string | undefined, { quantity, userDataField }: NewProduct): { product: RemoteProduct; warnings: [] } {
    this.#took(id, 0, quantity);
    this.#ids += 1;
    this.#product = product(quantity, null, { id: this.#ids, blueprintId: BLUEPRINT, userDataField: userDataField ?? ITEM });
    return { product: this.#product, warnings: [] };
  }

  #delete(id: string | undefined, productId: number): Outcome<never> | { warnings: [] } {
    const was = this.#product;
    if (was === null || was.id !== productId) return { outcome: 'refused', reason: 'not_found', status: 404, requestId: null, serverDate: null, durationMs: 1, message: 'not found', code: 'not_found', fields: [] };
    this.#took(id, was.quantity, 0);
    this.#product = null;
    return { warnings: [] };
  }
}
