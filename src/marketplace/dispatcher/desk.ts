import type { Clock } from '../../platform/clock.ts';
import { readUserDataField, type CardTraderClient, type Caller, type Job, type List, type Outcome, type ProductRead, type RemoteOrder, type RemoteProduct } from '../client/index.ts';
import type { Evidence } from '../operations/index.ts';
import type { Intent, Work } from './work.ts';

/** What somebody who carries out an operation has at hand: CardTrader on behalf of one seller, and the operation's own record. */
export interface Desk {
  readonly client: Pick<CardTraderClient, 'updateProduct' | 'createProduct' | 'deleteProduct' | 'readProduct' | 'exportProducts' | 'bulkUpdate' | 'bulkCreate'>;
  readonly clock: Clock;
  /** How long after it was sent an operation without an answer is left alone, ms: longer than the client waits. */
  readonly quarantineMs: number;
  /** How long a bulk job may take, ms. */
  readonly jobPatienceMs: number;
  /** Most characters of `user_data_field`. */
  readonly dataFieldLength: number;
  /** Writes are sent in the operation's name. */
  caller(operationId?: string): Caller;
  /** A read; again at once where CardTrader asked for patience. */
  read<T>(ask: () => Promise<Outcome<T>>): Promise<Outcome<T>>;
  /** Told of every answer to a write: a 429 slows the seller down. */
  heard(outcome: Outcome<unknown>): Promise<void>;
  /** Orders since about that time (CardTrader's clock, ms), read after this was called. */
  orders(since: number): Promise<Outcome<List<RemoteOrder>>>;
  /** Writes down what is about to be sent; false: it is not to be sent any more. */
  intend(work: Work, intent: Intent): Promise<boolean>;
  /** One look at a job, when its turn comes. */
  job(job: string): Promise<Outcome<Job>>;
  /** The job these operations went with. */
  named(works: readonly Work[], jobId: string): Promise<void>;
  /** The whole stock, read after `since` (CardTrader's clock, ms) and not long ago. */
  wholeStock(since: number): Promise<Outcome<WholeStock>>;
  /** CardTrader does not take bulk calls of this seller, or not as they are: for a while each goes alone. */
  withoutBulk(): void;
  /** Whether a job may set a quantity of 0; CardTrader may not take it, and then such an item goes alone, where its product is deleted instead. */
  mayZeroInJobs(): boolean;
  withoutZeroInJobs(): void;
  /** False: the lease is over, or the process stops. */
  mayGoOn(): boolean;
  /** How long to wait after an answer that was of no use, ms. */
  backoffMs(): number;
}

/** Everything CardTrader has of one seller, as one export shows it. */
export interface WholeStock {
  /** CardTrader's clock, ms, at the latest when the export began. */
  readonly readAt: number;
  readonly products: ReadonlyMap<number, RemoteProduct>;
  readonly ofBlueprint: ReadonlyMap<number, readonly RemoteProduct[]>;
  /** Entries that could not be read may be any product. */
  readonly whole: boolean;
}

/** Of a note, which may have what CardTrader said of an item. */
const MOST_SAID = 500;

/** The calls of one operation, for people. */
export class Record {
  readonly #clock: Clock;
  readonly evidence: Evidence[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  call(call: Evidence['call'], outcome: Outcome<unknown>, seen: Pick<Evidence, 'quantity' | 'marker'> = {}): void {
    const { status, requestId, durationMs } = outcome;
    this.evidence.push({
      at: this.#clock.now(),
      call,
      outcome: outcome.outcome,
      ms: Math.round(durationMs),
      ...(outcome.outcome !== 'applied' && { reason: outcome.reason, said: outcome.message.slice(0, 200) }),
      ...(status !== null && { status }),
      ...(requestId !== null && { requestId }),
      ...seen,
    });
  }

  note(said: string): void {
    this.evidence.push({ at: this.#clock.now(), call: 'note', outcome: 'note', said: said.slice(0, MOST_SAID) });
  }
}

/**
 * One product, as it is now. Exports are sometimes cut short or late (cardtrader.md section 10), so one that lacks the product is read
 * again: it is gone if two of them say so.
 */
export async function readProduct(desk: Desk, record: Record, productId: number, blueprintId: number): Promise<Outcome<ProductRead>> {
  const first = await readOnce(desk, record, productId, blueprintId);
  return first.outcome === 'applied' && first.body.product === null ? readOnce(desk, record, productId, blueprintId) : first;
}

async function readOnce(desk: Desk, record: Record, productId: number, blueprintId: number): Promise<Outcome<ProductRead>> {
  const outcome = await desk.read(() => desk.client.readProduct(desk.caller(), productId, blueprintId));
  const product = outcome.outcome === 'applied' ? outcome.body.product : undefined;
  record.call('read', outcome, product === undefined ? {} : { quantity: product?.quantity ?? null, ...(product?.userDataField !== undefined && { marker: readUserDataField(product.userDataField).operationId }) });
  return outcome;
}

/** All products of a card. */
export async function readSiblings(desk: Desk, record: Record, blueprintId: number): Promise<Outcome<List<RemoteProduct>>> {
  const outcome = await desk.read(() => desk.client.exportProducts(desk.caller(), { blueprintId }));
  record.call('read', outcome);
  return outcome;
}

export async function readOrders(desk: Desk, record: Record, since: number): Promise<Outcome<List<RemoteOrder>>> {
  const outcome = await desk.orders(since);
  record.call('orders', outcome);
  if (outcome.outcome === 'applied' && outcome.body.unread.length > 0) record.note(`${outcome.body.unread.length} of the orders could not be read: a sale among them is not seen`);
  return outcome;
}
