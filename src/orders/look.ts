import { askPatiently, readUserDataField, type Caller, type CardTraderClient, type List, type Outcome, type RemoteOrder, type RemoteProduct } from '../marketplace/index.ts';
import type { Clock } from '../platform/clock.ts';
import { faultPoint } from '../platform/fault-points.ts';
import type { AppliedOrders, FoundCopies, Sighting } from './apply.ts';
import type { OpenCancellation } from './ledger.sql.ts';
import type { Relisted } from './relisted.ts';

/** What a look needs of the database; each call is short, and one at a time. */
export interface LookStore {
  waiting(most: number): Promise<{ envelopeId: string; orderId: number }[]>;
  processed(envelopeIds: readonly string[]): Promise<void>;
  floor(): Promise<number | null>;
  /** Prolongs the lease and says how far the list was read; false: it is somebody else's. */
  keep(throughId: number | null): Promise<boolean>;
  apply(sighting: Pick<Sighting, 'views' | 'unreadable' | 'destroyed'>): Promise<AppliedOrders>;
  cancellations(most: number): Promise<OpenCancellation[]>;
  count(found: Omit<FoundCopies, 'userId'>): Promise<Relisted>;
}

export interface LookDeps {
  readonly client: Pick<CardTraderClient, 'order' | 'orders' | 'exportProducts'>;
  readonly caller: Caller;
  readonly clock: Clock;
  readonly store: LookStore;
  /** Told of every answer: a 429 slows the seller down. */
  readonly heard: (outcome: Outcome<unknown>) => Promise<void>;
  readonly onUnreadable: (orders: number) => void;
  readonly settleMs: number;
}

export interface Look {
  /** The list of orders was read to its end. */
  readonly listed: boolean;
  readonly webhooks: number;
  /** When cancelled copies are to be counted, milliseconds from now; null: none wait for that. */
  readonly countInMs: number | null;
  readonly problem: 'stopped' | 'lease_lost' | 'token_rejected' | 'unavailable' | null;
  readonly said: string | null;
}

const PAGE_SIZE = 100;
const CALLS_A_ROUND = 20;
/** Items counted in one look. */
const COUNTS = 10;
/** How long before the account was taken on the first list begins: what is called off of it later comes back. */
const FIRST_DAYS = 30;
const DAY_MS = 86_400_000;

/** An answer that is none: the look ends there. */
class Ended extends Error {
  readonly problem: NonNullable<Look['problem']>;
  constructor(problem: NonNullable<Look['problem']>, said: string) {
    super(said);
    this.problem = problem;
  }
}

/**
 * One look at a seller's orders:
 *
 *   orders webhooks speak of, one call each → if it is time: the list, from the oldest open order on → products of cancelled copies
 *
 * A webhook is only a hint which order to read; what it says of it is never believed. The list is paged by id, so that orders which come
 * in meanwhile move nothing.
 */
export async function look(deps: LookDeps, { since, due }: { since: number; due: boolean }): Promise<Look> {
  let webhooks = 0;
  let listed = false;
  let countInMs: number | null = null;
  try {
    webhooks = await readCalled(deps);
    if (due) {
      await readList(deps, since);
      listed = true;
    }
    countInMs = await countCancelled(deps);
    return { listed, webhooks, countInMs, problem: null, said: null };
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return { listed, webhooks, countInMs, problem: error.problem, said: error.message };
  }
}

async function readCalled({ store, ...deps }: LookDeps): Promise<number> {
  let calls = 0;
  for (;;) {
    const waiting = await store.waiting(CALLS_A_ROUND);
    if (waiting.length === 0) return calls;
    for (const orderId of new Set(waiting.map((call) => call.orderId))) {
      const outcome = await ask(deps, () => deps.client.order(deps.caller, orderId));
      if (outcome.outcome === 'applied') await store.apply({ views: [{ order: outcome.body, at: outcome.serverDate ?? deps.clock.now() }], unreadable: [], destroyed: [] });
      else if (outcome.outcome === 'refused') await store.apply({ views: [], unreadable: [], destroyed: [orderId] }); // a 404
      else {
        deps.onUnreadable(1);
        await store.apply({ views: [], unreadable: [orderId], destroyed: [] });
      }
      faultPoint('orders.after-commit');
    }
    // After the commit of what they brought: who dies in between reads them once more, and finds it known.
    await store.processed(waiting.map(({ envelopeId }) => envelopeId));
    calls += waiting.length;
    if (!(await store.keep(null))) throw new Ended('lease_lost', 'the seller is looked at by another process');
  }
}

async function readList({ store, ...deps }: LookDeps, since: number): Promise<void> {
  const floor = await store.floor();
  const range = floor === null ? { from: new Date(since - FIRST_DAYS * DAY_MS).toISOString().slice(0, 10) } : {};
  for (let after = floor; ; ) {
    const outcome = await ask(deps, () => deps.client.orders(deps.caller, { ...range, sort: 'id.asc', limit: PAGE_SIZE, ...(after !== null && { fromId: after }) }));
    if (outcome.outcome !== 'applied') throw new Ended('unavailable', `the list of orders was not answered usably: ${outcome.message}`);
    const { items, unread } = outcome.body;
    if (unread.length > 0) deps.onUnreadable(unread.length);
    await store.apply({ views: viewsOf(items, outcome.serverDate ?? deps.clock.now()), unreadable: unread.flatMap(({ id }) => id ?? []), destroyed: [] });
    faultPoint('orders.after-commit');
    const last = Math.max(after ?? 0, ...items.map(({ id }) => id), ...unread.flatMap(({ id }) => id ?? []));
    const isLast = items.length + unread.length < PAGE_SIZE || last === (after ?? 0);
    after = last === 0 ? null : last; // no order at all: the next list begins at the same day
    if (!(await store.keep(after))) throw new Ended('lease_lost', 'the seller is looked at by another process');
    if (isLast) return;
  }
}

const viewsOf = (orders: readonly RemoteOrder[], at: number): Sighting['views'] => orders.map((order) => ({ order, at }));

/** Counts the copies of items with cancelled ones, once exports can be trusted about them; answers when the next ones are up. */
async function countCancelled({ store, settleMs, ...deps }: LookDeps): Promise<number | null> {
  const open = await store.cancellations(COUNTS);
  const now = deps.clock.now();
  const settledInMs = ({ cancelledAt }: OpenCancellation): number => cancelledAt + settleMs + COUNT_SLACK_MS - now;
  const ready = open.filter((each) => settledInMs(each) <= 0);
  const waiting = open.filter((each) => settledInMs(each) > 0);
  let again: number | null = waiting.length === 0 ? null : Math.min(...waiting.map(settledInMs));
  for (const { itemId, productId, blueprintId } of ready) {
    const outcome = await ask(deps, () => deps.client.exportProducts(deps.caller, { blueprintId }));
    if (outcome.outcome !== 'applied' || outcome.body.unread.length > 0) continue; // at the next look
    const at = outcome.serverDate ?? deps.clock.now();
    const answer = await store.count({ itemId, found: copiesOf(outcome.body, itemId, productId), at });
    if (answer === 'wait') again = Math.min(again ?? Infinity, settleMs + COUNT_SLACK_MS);
  }
  return again;
}

/** The whole second of CardTrader's clock, twice. */
const COUNT_SLACK_MS = 2_000;

/** Products that are the item's: its own, and what CardTrader listed anew with the same text. */
const copiesOf = ({ items }: List<RemoteProduct>, itemId: string, productId: number): number =>
  items.filter((product) => product.id === productId || readUserDataField(product.userDataField).itemId === itemId).reduce((sum, { quantity }) => sum + quantity, 0);

type Answer<T> = Extract<Outcome<T>, { outcome: 'applied' }> | (Extract<Outcome<T>, { outcome: 'refused' }> & { readonly reason: 'not_found' }) | (Extract<Outcome<T>, { outcome: 'unknown' }> & { readonly reason: 'unreadable' });

/** Asks until it is answered. Throws Ended where that is of no use now. */
async function ask<T>({ caller, clock, heard }: Pick<LookDeps, 'caller' | 'clock' | 'heard'>, call: () => Promise<Outcome<T>>): Promise<Answer<T>> {
  const isStopping = (): boolean => caller.until?.aborted === true;
  const outcome = await askPatiently({ clock, heard, mayGoOn: () => !isStopping() }, call);
  if (outcome.outcome === 'applied') return outcome;
  if (outcome.outcome === 'unknown' && outcome.reason === 'unreadable') return { ...outcome, reason: 'unreadable' };
  if (outcome.outcome === 'refused' && outcome.reason === 'not_found') return { ...outcome, reason: 'not_found' };
  if (outcome.outcome === 'refused' && outcome.reason === 'token_rejected') throw new Ended('token_rejected', outcome.message);
  if (isStopping()) throw new Ended('stopped', 'the process stops, or others are to have a turn');
  throw new Ended('unavailable', `CardTrader gave no usable answer (${outcome.reason}): ${outcome.message}`);
}
