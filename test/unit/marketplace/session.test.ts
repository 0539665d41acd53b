import { expect, test } from 'vitest';
import type { CardTraderClient, Caller, Outcome, ProductRead } from '../../../src/marketplace/client/index.ts';
import { lookIntoMany } from '../../../src/marketplace/dispatcher/bulk.ts';
import type { Desk } from '../../../src/marketplace/dispatcher/desk.ts';
import { Session, type SessionDeps } from '../../../src/marketplace/dispatcher/session.ts';
import { wholeStockOf } from '../../../src/marketplace/dispatcher/whole-stock.ts';
import type { Request } from '../../../src/marketplace/dispatcher/store.ts';
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { intent, listing, product, refusal, USER, work } from '../../support/operations.ts';
import { until } from '../../support/wait.ts';

/** Protects: what a session asks for and sends, whatever becomes of its lease and its transactions (P6, P7). No database, no network. */
const LEASE_MS = 30_000;
const WRITE_MS = 15_000;
const answered = <T>(body: T): Outcome<T> => ({ outcome: 'applied', status: 200, requestId: null, serverDate: null, durationMs: 1, body });

interface Bench {
  readonly session: Session;
  /** What each transaction was to do. */
  readonly requests: Request[];
  readonly clock: FakeClock;
}

function bench(client: Partial<CardTraderClient>, { renews = true, crowded = false } = {}): Bench {
  const clock = fakeClock();
  const requests: Request[] = [];
  const nothing = (): undefined => undefined;
  const deps: SessionDeps = {
    client: client as CardTraderClient,
    limiter: { throttled: () => Promise.resolve() },
    clock,
    observer: { claimed: nothing, settled: nothing, leaseLost: nothing, tokenRejected: nothing, tokenUnreadable: nothing, circuitOpened: nothing, refused: nothing, transactionRetried: nothing, waiting: nothing },
    leaseMs: LEASE_MS,
    quarantineMs: 20_000,
    writeTimeoutMs: WRITE_MS,
    dataFieldLength: 255,
    operationsAtOnce: 4,
    bulkItems: 450,
    jobsAtOnce: 6,
    jobPatienceMs: 60_000,
    crowded: () => crowded,
    seen: { zeroInJobs: true },
    onEnqueued: nothing,
    onFatal: (error) => {
      throw error;
    },
    commit: (committing) => {
      const request = committing.take();
      requests.push(request);
      committing.committed({ held: true, active: true, intended: new Set(request.intents.map(({ work: { id } }) => id)), recorded: [], next: [], syncs: [], released: false, enqueued: 0 }, renews ? clock.monotonic() : -Infinity);
      return Promise.resolve();
    },
  };
  return { session: new Session({ userId: USER, epoch: 1, token: new Uint8Array(1), tokenKeyId: 'k', failures: 0 }, 'token', clock.monotonic(), deps), requests, clock };
}

/*
 * The database takes no result of this session, and has it under its claim for a while yet. What was under way comes to its end, and must not bring
 * new work that nobody may carry out: it would come back at once, unsent, with the lease prolonged each time, and the seller would never get out of that.
 */
test('a session that was given up asks for nothing more, and keeps the seller from nobody', async () => {
  let end: ((outcome: Outcome<ProductRead>) => void) | undefined;
  const { session, requests } = bench({ readProduct: () => new Promise((resolve) => (end = resolve)) });
  session.begin([work()]);
  await until('the product is being read', () => end !== undefined);
  session.abandon();
  end?.(refusal('forbidden'));
  await until('what was under way has come to its end', () => requests.some(({ results }) => results.length > 0));
  expect(requests.map(({ next, release }) => ({ slots: next.slots, syncs: next.syncs, release }))).toEqual(requests.map(() => ({ slots: 0, syncs: 0, release: false })));
});

/*
 * The limiter holds up a write for longer than the quarantine; the database is away, so the lease is not prolonged. Sent in the last moment of the lease, the write would be on its way
 * while whoever has the seller next looks for it, does not see it, and sends it again.
 */
test('a write is sent only if it is over before the lease is', async () => {
  let writer: Caller | undefined;
  const { session, clock } = bench({ readProduct: () => Promise.resolve(answered({ product: product(5) })), updateProduct: (caller) => new Promise(() => (writer = caller)) }, { renews: false });
  session.begin([work()]);
  await until('it is its turn', () => writer !== undefined);
  await clock.advance(LEASE_MS - WRITE_MS - 1);
  expect([session.mayCall, writer?.may?.()]).toEqual([true, true]);
  await clock.advance(1);
  expect([session.mayCall, writer?.may?.()]).toEqual([true, false]);
});

/* A 429 may say to wait for an hour: as many sellers who were told so as are worked for at once would keep all others out as long. */
test('a session that only waits for its turn gives way where others wait for a place, and one that waits for an answer does not', async () => {
  let reader: Caller | undefined;
  const { session, clock } = bench({ readProduct: (caller) => new Promise(() => (reader = caller)) }, { crowded: true });
  session.begin([work()]);
  await until('it is its turn', () => reader !== undefined);
  reader?.turn?.sent();
  await clock.advance(60_000);
  session.giveWay();
  expect(reader?.until?.aborted).toBe(false);
  reader?.turn?.answered();
  await clock.advance(10_001);
  session.giveWay();
  expect(reader?.until?.aborted).toBe(true);
});

test('nobody gives way to nobody', async () => {
  let reader: Caller | undefined;
  const { session, clock } = bench({ readProduct: (caller) => new Promise(() => (reader = caller)) });
  session.begin([work()]);
  await until('it is its turn', () => reader !== undefined);
  await clock.advance(60_000);
  session.giveWay();
  expect(reader?.until?.aborted).toBe(false);
});

/* An export of a moment ago, from before the job's end, would show none of what the job did: for not done, and done again. */
test('what a job has done is looked for in an export that is newer, also where our clock is behind CardTrader’s', async () => {
  const clock = fakeClock();
  const done = product(3, work().id);
  let exports = 0;
  const client = {
    exportProducts: () => {
      exports += 1;
      return Promise.resolve({ ...answered({ items: exports === 1 ? [product(5)] : [done], unread: [] }), serverDate: clock.now() + 60_000 });
    },
  };
  const wholeStock = wholeStockOf(client, clock, () => ({ userId: USER, token: 't' }), (ask) => ask());
  await wholeStock(0);
  const sync = work({ kind: 'SYNC', state: 'UNKNOWN', purchaseId: null, quantity: 0, intent: intent(), listing: listing(), sentAt: clock.now() });
  const desk = { client, clock, wholeStock, quarantineMs: 1, jobPatienceMs: 1, dataFieldLength: 255, caller: () => ({ userId: USER, token: 't' }), read: (ask: () => unknown) => ask(), backoffMs: () => 1, orders: () => Promise.resolve(answered({ items: [], unread: [] })) } as unknown as Desk;
  const ends: string[] = [];
  await lookIntoMany(desk, [{ work: sync, as: sync }], (_, { result }) => void ends.push(result?.to ?? 'none'));
  expect(ends).toEqual(['APPLIED']);
});
