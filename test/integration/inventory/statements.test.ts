import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as bulkChunks from '../../../src/bulk-sync/chunks.sql.ts';
import * as bulkDrift from '../../../src/bulk-sync/drift.sql.ts';
import * as bulkItems from '../../../src/bulk-sync/items.sql.ts';
import * as bulkJobs from '../../../src/bulk-sync/jobs.sql.ts';
import * as bulkSchedule from '../../../src/bulk-sync/schedule.sql.ts';
import * as counts from '../../../src/marketplace/counts.sql.ts';
import * as leases from '../../../src/marketplace/dispatcher/leases.sql.ts';
import * as work from '../../../src/marketplace/dispatcher/work.sql.ts';
import type { Work } from '../../../src/marketplace/dispatcher/work.ts';
import * as sync from '../../../src/marketplace/listing-sync/sync.sql.ts';
import type { Listing } from '../../../src/marketplace/listings/listing.ts';
import * as listings from '../../../src/marketplace/listings/listings.sql.ts';
import * as operations from '../../../src/marketplace/operations/operations.sql.ts';
import * as verdicts from '../../../src/marketplace/operations/verdicts.sql.ts';
import * as orderInbox from '../../../src/orders/inbox.sql.ts';
import * as orderLedger from '../../../src/orders/ledger.sql.ts';
import * as orderPolls from '../../../src/orders/polls.sql.ts';
import * as orderSelect from '../../../src/orders/select.sql.ts';
import * as select from '../../../src/purchase/select.sql.ts';
import * as sellers from '../../../src/marketplace/sellers/sellers.sql.ts';
import * as sagas from '../../../src/purchase/sagas.sql.ts';
import * as deadLetters from '../../../src/records/dead-letters.sql.ts';
import * as letters from '../../../src/records/letters.sql.ts';
import * as redrive from '../../../src/operations/redrive/evidence.sql.ts';
import * as parking from '../../../src/ingest/parking.sql.ts';
import * as replays from '../../../src/operations/replay/replays.sql.ts';
import { StockFold } from '../../../src/inventory/index.ts';
import * as retention from '../../../src/inventory/retention.sql.ts';
import * as stock from '../../../src/inventory/stock.sql.ts';
import { silentLogger } from '../../../src/platform/log.ts';
import * as outboxBlocked from '../../../src/outbox/blocked.sql.ts';
import * as outboxEnqueue from '../../../src/outbox/enqueue.sql.ts';
import * as audit from '../../../src/platform/postgres/audit.sql.ts';
import * as browseFind from '../../../src/operations/browse/find.sql.ts';
import * as browseItems from '../../../src/operations/browse/items.sql.ts';
import * as browseUsers from '../../../src/operations/browse/users.sql.ts';
import * as lanes from '../../../src/platform/postgres/lanes.sql.ts';
import * as position from '../../../src/platform/postgres/position.sql.ts';
import * as server from '../../../src/platform/postgres/server.sql.ts';
import { createPostgres, type Postgres, type Transaction } from '../../../src/platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { change, deadEntry, entry, folds, purchase, randomUuid } from '../../support/events.ts';
import { recordingTransaction, type RecordedStatement } from '../../support/recorded-sql.ts';

/** Protects: every statement fits the migrated schema, and on a big ledger the hot ones are key look-ups, also when planned generically. */
let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url, { statementTimeoutMs: 60_000, transactionTimeoutMs: 60_001 }), { logger: silentLogger, applicationName: 'plans', keyLookupsOnly: true });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

const event = change({ properties: { foil: 'yes' } });
const given = [entry(event)];
const fold = new StockFold();
fold.apply(event);
const sale = folds();
sale.stock.apply(event);
sale.purchases.request(purchase({ user_id: event.user_id, lines: [{ item_id: event.item_id, quantity: 1, unit_price_cents: 5 }] }));

const seller = { userId: event.user_id, epoch: 1 };
const sealed = { keyId: 'k', bytes: new Uint8Array(3) };
const listing: Listing = { userId: event.user_id, itemId: event.item_id, productId: 1, blueprintId: 2, quantity: 3, priceCents: 4, currency: 'EUR', confirmedAt: 5, operationId: null, gone: false, product: { name: null, description: null, userDataField: null, graded: null, properties: {} }, soldLines: [6], mismatch: null, unaccounted: 0 };
const due: Work = { id: event.event_id, userId: event.user_id, purchaseId: null, kind: 'LOWER', quantity: 1, state: 'PENDING', createdAt: 1, attempts: 0, intent: null, listing, listed: true, stock: null, problem: null, taken: null, jobId: null, sentAt: null, traceparent: null };
const intending = (siblings: [] | null) => ({ work: due, epoch: 1, intent: { productId: 1, readAt: 1, before: 1, target: 0, marked: true, siblings, blueprintId: 1 } });
const claim = { jobId: event.event_id, owner: event.user_id, epoch: 1 };
const arrived = { jobId: event.event_id, chunk: 0, eventId: event.event_id };
const operation = { id: event.event_id, itemId: event.item_id, kind: 'TAKE', quantity: 1, state: 'PENDING', returns: null, reason: null } as const;

const EVERY_FILTER = { ids: [1n], states: ['open'], reasons: ['invalid'], userId: event.user_id, eventId: event.event_id, redriveOf: 1n, topic: 't', partition: 0, since: 0, until: 1 } as const;

/** Each function that sends SQL, called once; a new one that is not named here fails the test below. */
const CALLS: Record<string, (tx: Transaction) => Promise<unknown>> = {
  readServerConnections: (tx) => server.readServerConnections(tx),
  readIdentity: (tx) => position.readIdentity(tx),
  readPosition: (tx) => position.readPosition(tx),
  readReplay: (tx) => position.readReplay(tx),
  selectItemPage: async (tx) => {
    for (const status of browseItems.ITEM_STATUSES) await browseItems.selectItemPage(tx, event.user_id, { status, blueprint: 1, q: '50%_', changedSince: new Date(0) }, { most: 2 });
  },
  selectUsers: async (tx) => [await browseUsers.selectUsers(tx, { most: 2 }), await browseUsers.selectUsers(tx, { status: 'paused', after: event.user_id, most: 2 })],
  selectUser: (tx) => browseUsers.selectUser(tx, event.user_id),
  selectItemsOfEvent: (tx) => browseFind.selectItemsOfEvent(tx, event.event_id),
  selectItemsOfId: (tx) => browseFind.selectItemsOfId(tx, event.item_id),
  lockLanes: (tx) => lanes.lockLanes(tx, [1, 2]),
  lockUsers: (tx) => lanes.lockUsers(tx, [event.user_id]),
  readStock: (tx) => stock.readStock(tx, fold, [event.event_id]),
  writeStock: (tx) => stock.writeStock(tx, fold),
  writeMoves: (tx) => stock.writeMoves(tx, sale.stock.moves),
  readSagas: (tx) => sagas.readSagas(tx, sale.purchases.entries),
  writeSagas: (tx) => sagas.writeSagas(tx, sale.purchases, Date.now(), () => Date.now()),
  readHeldThrough: (tx) => sagas.readHeldThrough(tx, [{ userId: event.user_id, itemId: event.item_id, purchaseId: event.event_id }]),
  countActiveSagas: (tx) => sagas.countActiveSagas(tx),
  claimDueSagas: (tx) => sagas.claimDueSagas(tx, 10, { firstSeconds: 1, mostSeconds: 2 }),
  pruneLedger: (tx) => retention.pruneLedger(tx, { after: event.event_id, keepSince: 0, rows: 100 }),
  readBuried: (tx) => deadLetters.readBuried(tx, [deadEntry().source]),
  insertDeadLetters: (tx) => deadLetters.insertDeadLetters(tx, [deadEntry()], 'group'),
  selectDeadLetters: (tx) => letters.selectDeadLetters(tx, EVERY_FILTER, { order: 'newest', after: 1n, limit: 10 }),
  countDeadLetters: (tx) => Promise.all([letters.countDeadLetters(tx, EVERY_FILTER), letters.countDeadLetters(tx, EVERY_FILTER, { newest: 10 })]),
  markRedriven: (tx) => letters.markRedriven(tx, [{ id: 1n, eventId: event.event_id, edited: { key: Buffer.from('k'), value: Buffer.from('v') } }], { who: 'w', reason: 'r' }),
  markDiscarded: (tx) => letters.markDiscarded(tx, [1n], { who: 'w', reason: 'r' }),
  readEvidence: (tx) => redrive.readEvidence(tx, [{ eventId: event.event_id, userId: event.user_id, itemId: event.item_id }]),
  readOutcomes: (tx) => redrive.readOutcomes(tx, [{ id: 1n, eventId: event.event_id }]),
  deleteOldDeadLetters: (tx) => deadLetters.deleteOldDeadLetters(tx, 0, 10),
  enqueue: (tx) => outboxEnqueue.enqueue(tx, [{ topic: 't', shard: 0, userId: event.user_id, eventId: event.event_id, key: Buffer.from('k'), value: null, headers: { a: 'b' }, availableAt: 1 }]),
  selectBlocked: (tx) => outboxBlocked.selectBlocked(tx, 1n),
  unblock: (tx) => outboxBlocked.unblock(tx, { shard: 0, id: 1n }),
  dropRow: (tx) => outboxBlocked.dropRow(tx, { shard: 0, id: 1n }),
  readOutboxStats: (tx) => outboxBlocked.readOutboxStats(tx, 12),
  recordOperatorAction: (tx) => audit.recordOperatorAction(tx, { who: 'w', action: 'a', target: 't', reason: 'r', detail: {} }),
  recordOperatorActions: (tx) => audit.recordOperatorActions(tx, [{ who: 'w', action: 'a', target: 't', reason: 'r', detail: {} }]),
  readParked: (tx) => parking.readParked(answering(tx, [{ user_id: event.user_id }]), given),
  parkUser: (tx) => parking.parkUser(tx, event.user_id, 'data', 'error'),
  appendParkedEvents: (tx) => parking.appendParkedEvents(tx, given),
  readParkedEvents: (tx) => parking.readParkedEvents(tx, event.user_id, 10),
  deleteParkedEvents: (tx) => parking.deleteParkedEvents(tx, [1n]),
  releaseIfEmpty: (tx) => parking.releaseIfEmpty(tx, event.user_id),
  recordAttempt: (tx) => parking.recordAttempt(tx, event.user_id, 'data', 'error'),
  selectParkedUsers: (tx) => parking.selectParkedUsers(tx),
  selectParkedPage: (tx) => parking.selectParkedPage(tx, { after: { parkedAt: 1, userId: event.user_id }, limit: 1 }),
  countParked: (tx) => parking.countParked(tx),
  readOperations: (tx) => operations.readOperations(tx, [{ userId: event.user_id, purchaseId: event.event_id }]),
  readListed: (tx) => operations.readListed(tx, [{ userId: event.user_id, itemIds: [event.item_id] }]),
  askOperations: (tx) => operations.askOperations(tx, [{ userId: event.user_id, purchaseId: event.event_id, operation, productId: 1 }], [event.event_id]),
  giveVerdicts: (tx) => verdicts.giveVerdicts(tx, [{ id: event.event_id, from: 'NEEDS_OPERATOR', to: 'APPLIED', note: 'n' }]),
  selectOperations: (tx) => verdicts.selectOperations(tx, event.user_id, event.event_id),
  selectItemOperations: (tx) => verdicts.selectItemOperations(tx, event.user_id, event.item_id, [event.event_id]),
  selectSagas: (tx) => select.selectSagas(tx, { states: ['RESERVED'], after: { startedAt: 1, purchaseId: event.event_id, userId: event.user_id }, limit: 1 }),
  selectSaga: (tx) => select.selectSaga(tx, event.event_id),
  selectSteps: (tx) => select.selectSteps(tx, event.user_id, event.event_id),
  insertReplay: (tx) => replays.insertReplay(tx, { group: 'g', topic: 't', how: 'h', offsets: { 0: ['2', '1'] } }),
  markReplay: (tx) => replays.markReplay(tx, 1n, 'set'),
  selectReplays: (tx) => replays.selectReplays(tx, { group: 'g', open: true, limit: 1 }),
  selectReplay: (tx) => replays.selectReplay(tx, 1n),
  selectReplayRate: (tx) => replays.selectReplayRate(tx, 'g', 1),
  readRemembered: (tx) => replays.readRemembered(tx, 'g', 't'),
  writePositions: (tx) => replays.writePositions(tx, 'g', 't', [{ partition: 0, furthest: 2n ** 60n, anew: true }]),
  insertDetected: (tx) => replays.insertDetected(tx, 'g', 't', { 0: ['2', '1'] }),
  markProgress: (tx) => replays.markProgress(tx, { started: [1n], caughtUp: [2n] }),
  readKnown: (tx) => replays.readKnown(tx, 't', [{ partition: 0, offset: 1, eventId: event.event_id, userId: event.user_id, purchaseId: null }]),
  selectActions: (tx) => audit.selectActions(tx, 't'),
  claimSellers: (tx) => leases.claimSellers(tx, event.event_id, { leaseSeconds: 1, most: 2 }),
  renewLeases: (tx) => leases.renewLeases(tx, event.event_id, 1, [seller]),
  holdSellers: (tx) => leases.holdSellers(tx, event.event_id, 1, [{ ...seller, failures: 0, openUntil: null, tokenRejected: null }]),
  releaseSellers: (tx) => leases.releaseSellers(tx, event.event_id, [seller]),
  readDue: (tx) => work.readDue(tx, [{ userId: event.user_id, slots: 2, busyItems: [event.item_id] }]),
  writeIntents: async (tx) => [await work.writeIntents(tx, event.event_id, 1_000, [intending(null)]), await work.writeIntents(tx, event.event_id, 1_000, [intending([])])],
  writeResults: (tx) => work.writeResults(tx, [{ work: { ...due, kind: 'SYNC' }, from: 'PENDING', evidence: [], result: { to: 'PENDING', reason: null, againMs: 1, listing: null, lower: 0, own: 0, answered: true, tokenRejected: false } }]),
  readTiedElsewhere: (tx) => work.readTiedElsewhere(tx, [listing]),
  callOff: (tx) => work.callOff(tx, [due]),
  keepEvidence: (tx) => work.keepEvidence(tx, [{ id: event.event_id, evidence: [] }]),
  writeListings: (tx) => work.writeListings(tx, [{ listing, strange: -1 }]),
  readSyncDue: (tx) => work.readSyncDue(tx, [{ userId: event.user_id, slots: 2, busyItems: [event.item_id] }]),
  dropSettledSyncs: (tx) => work.dropSettledSyncs(tx, [due]),
  dropNeedlessSyncs: (tx) => work.dropNeedlessSyncs(tx, [due]),
  nameJobs: (tx) => work.nameJobs(tx, [{ id: event.event_id, jobId: 'j' }]),
  selectSynced: (tx) => sync.selectSynced(tx, [event.user_id]),
  askSync: (tx) => sync.askSync(tx, [{ userId: event.user_id, itemId: event.item_id }]),
  accountRemoteChanges: (tx) => sync.accountRemoteChanges(tx, [{ userId: event.user_id, itemId: event.item_id, change: -1 }]),
  askSyncOfAll: (tx) => sync.askSyncOfAll(tx, event.user_id),
  updateSyncSettings: (tx) => sync.updateSyncSettings(tx, event.user_id, { listingSync: true, buffer: null }),
  forgetSync: (tx) => sync.forgetSync(tx, event.user_id),
  selectProblems: (tx) => sync.selectProblems(tx, event.user_id, 1),
  trustStock: (tx) => sync.trustStock(tx, event.user_id),
  writeProblems: (tx) => sync.writeProblems(tx, [null, { kind: 'refused', said: 's', wanted: 'w' } as const].map((problem) => ({ userId: event.user_id, itemId: event.item_id, problem }))),
  addLowers: (tx) => work.addLowers(tx, [{ id: event.event_id, userId: event.user_id, itemId: event.item_id, productId: 1, quantity: 1 }]),
  countMarketplace: (tx) => counts.countMarketplace(tx),
  selectSellers: (tx) => sellers.selectSellers(tx),
  selectSeller: (tx) => sellers.selectSeller(tx, event.user_id),
  selectHolder: (tx) => sellers.selectHolder(tx, event.user_id, { id: 1, sellerId: 2 }),
  selectToken: (tx) => sellers.selectToken(tx, event.user_id),
  selectSecrets: (tx) => sellers.selectSecrets(tx),
  upsertSeller: (tx) => sellers.upsertSeller(tx, event.user_id, sealed, '…', { id: 1, name: 'n', sharedSecret: null, sellerId: 2 }, sealed),
  updateStatus: (tx) => sellers.updateStatus(tx, event.user_id, 'paused', 'why'),
  markChecked: (tx) => sellers.markChecked(tx, event.user_id, sealed),
  resealSecret: (tx) => sellers.resealSecret(tx, event.user_id, 'webhook_secret', sealed, sealed),
  readOrders: (tx) => orderLedger.readOrders(tx, event.user_id, [1]),
  readItems: (tx) => orderLedger.readItems(tx, event.user_id, [1], [event.item_id]),
  writeOrders: (tx) => orderLedger.writeOrders(tx, event.user_id, [{ orderId: 1, code: null, state: 'paid', viaZero: null, presale: null, seenAt: 1, open: true, lines: [] }]),
  readCancellations: (tx) => orderLedger.readCancellations(tx, event.user_id, { itemId: null, most: 1 }),
  readTold: (tx) => orderLedger.readTold(tx, event.user_id, [event.item_id], 1),
  readLines: (tx) => orderLedger.readLines(tx, event.user_id, event.item_id, 1),
  claimPolls: (tx) => orderPolls.claimPolls(tx, event.event_id, { leaseSeconds: 1, most: 2, but: [event.user_id] }),
  keepPoll: (tx) => orderPolls.keepPoll(tx, event.event_id, event.user_id, { leaseSeconds: 1, throughId: 2 }),
  releasePolls: (tx) => orderPolls.releasePolls(tx, event.event_id, [{ userId: event.user_id, webhookSeq: 1, begunAt: 1, due: true, nextSeconds: 1, complete: true, problem: null }]),
  readFloor: (tx) => orderPolls.readFloor(tx, event.user_id),
  pollNow: (tx) => orderPolls.pollNow(tx, event.user_id),
  readSecrets: (tx) => orderInbox.readSecrets(tx, [event.user_id]),
  keepCalls: (tx) => orderInbox.keepCalls(tx, [{ userId: event.user_id, envelopeId: 'e', cause: 'order.create', orderId: 1 }]),
  readWaiting: (tx) => orderInbox.readWaiting(tx, event.user_id, 1),
  markProcessed: (tx) => orderInbox.markProcessed(tx, event.user_id, ['e']),
  forgetCalls: (tx) => orderInbox.forgetCalls(tx, { days: 7, most: 1 }),
  selectOrders: (tx) => orderSelect.selectOrders(tx, event.user_id, { unmapped: true, unresolved: false, limit: 1 }),
  selectPoll: (tx) => orderSelect.selectPoll(tx, event.user_id),
  countOrders: (tx) => orderSelect.countOrders(tx, 300),
  selectListings: (tx) => listings.selectListings(tx, event.user_id, { mismatched: true, different: true, limit: 1 }),
  selectListing: (tx) => listings.selectListing(tx, event.user_id, event.item_id),
  selectUnlisted: (tx) => listings.selectUnlisted(tx, event.user_id, { listed: [event.item_id], gone: [], named: 1 }),
  clearMismatches: (tx) => listings.clearMismatches(tx, event.user_id, event.item_id, 'fewer'),
  selectItems: (tx) => listings.selectItems(tx, event.user_id, [listing]),
  upsertListings: (tx) => listings.upsertListings(tx, event.user_id, [listing]),
  selectLinked: (tx) => listings.selectLinked(tx, event.user_id),
  markGone: (tx) => listings.markGone(tx, event.user_id, [{ itemId: event.item_id, version: 'v' }], { kind: 'gone', at: 1, expected: null, found: null, operationId: null }),
  deleteListing: (tx) => listings.deleteListing(tx, event.user_id, event.item_id),
  insertJob: (tx) => bulkJobs.insertJob(tx, { jobId: event.event_id, userId: event.user_id, mode: 'report', dryRun: false, confirmShrink: false, scheduled: false, askedBy: 'w' }),
  selectJobs: (tx) => bulkJobs.selectJobs(tx, [event.event_id]),
  selectNewestJobs: (tx) => bulkJobs.selectNewestJobs(tx, null, 5),
  endRetrying: (tx) => bulkJobs.endRetrying(tx, event.user_id),
  cancelJob: (tx) => bulkJobs.cancelJob(tx, event.event_id),
  claimJobs: (tx) => bulkJobs.claimJobs(tx, event.event_id, { leaseSeconds: 1, most: 2 }),
  keepJob: (tx) => bulkJobs.keepJob(tx, claim, 1),
  beginExport: (tx) => bulkJobs.beginExport(answering(tx, [{ exportedAt: 1, exports: 1 }]), claim),
  insertChunk: (tx) => bulkJobs.insertChunk(tx, claim, { chunk: 0, eventId: event.event_id, productIds: [1], products: '[]' }),
  selectKnown: (tx) => bulkJobs.selectKnown(tx, event.user_id),
  endExport: (tx) => bulkJobs.endExport(tx, claim, { products: 1, unread: 0, chunks: 1, digest: 'd', ambiguous: [event.item_id], confirmedAt: 1 }),
  noteOrdersRead: (tx) => bulkJobs.noteOrdersRead(tx, claim),
  failJob: (tx) => bulkJobs.failJob(tx, claim, { problem: 'shrunk', said: 's', products: 1, digest: 'd' }),
  endJob: (tx) => bulkJobs.endJob(tx, claim),
  selectEnding: (tx) => bulkJobs.selectEnding(tx, event.event_id),
  releaseJob: (tx) => bulkJobs.releaseJob(tx, claim, { inSeconds: 1, failed: true, said: null }),
  forgetJobs: (tx) => bulkJobs.forgetJobs(tx, event.user_id, 5),
  countBulkSync: (tx) => bulkJobs.countBulkSync(tx),
  selectUnpublished: (tx) => outboxEnqueue.selectUnpublished(tx, event.user_id, [event.event_id]),
  takeToSend: (tx) => bulkChunks.takeToSend(tx, claim, { window: 2, lostSeconds: 1 }),
  countOpen: (tx) => bulkChunks.countOpen(tx, event.event_id),
  lockArrived: (tx) => bulkChunks.lockArrived(tx, arrived),
  selectSpooled: (tx) => bulkChunks.selectSpooled(tx, arrived),
  noteWaiting: (tx) => bulkChunks.noteWaiting(tx, arrived, { waitsFor: 'catalogue', said: 's' }),
  endChunk: (tx) => bulkChunks.endChunk(tx, arrived, { created: 0, adopted: 0, linked: 0, pushed: 0, drifted: 0, left: 0, same: 0, unmapped: 0 }),
  parkChunk: (tx) => bulkChunks.parkChunk(tx, arrived, { tries: 3, reason: 'r', pauses: [1, 2] }),
  selectParkedChunks: (tx) => bulkChunks.selectParkedChunks(tx, event.event_id),
  insertFindings: (tx) => bulkChunks.insertFindings(tx, event.event_id, [{ kind: 'left', cause: 'busy', productId: 1, itemId: null, ours: null, theirs: 1, name: 'n' }]),
  selectFindings: (tx) => bulkChunks.selectFindings(tx, event.event_id, 5),
  countFindings: (tx) => bulkChunks.countFindings(tx, event.event_id),
  readStates: (tx) => bulkItems.readStates(tx, event.user_id, [{ productId: 1, named: event.item_id }], 1),
  settleOldLines: (tx) => bulkItems.settleOldLines(tx, event.user_id, [{ productId: 1, itemId: event.item_id }]),
  selectRelisted: (tx) => bulkItems.selectRelisted(tx, event.user_id, [{ itemId: event.item_id, productId: 1, since: 1 }]),
  trustItems: (tx) => bulkItems.trustItems(tx, event.user_id, [event.item_id]),
  confirmListings: (tx) => bulkItems.confirmListings(tx, event.user_id, [{ itemId: event.item_id, quantity: 1 }]),
  selectMissing: (tx) => bulkDrift.selectMissing(tx, event.event_id, { settleMs: 1, most: 5 }),
  replaceDrift: (tx) => bulkDrift.replaceDrift(tx, event.user_id, event.event_id),
  selectDrift: (tx) => bulkDrift.selectDrift(tx, null, { all: true, limit: 5 }),
  deleteDrift: (tx) => bulkDrift.deleteDrift(tx, event.user_id, ['s']),
  scheduleReports: (tx) => bulkSchedule.scheduleReports(tx, { beganAt: 1, passed: 0.5, most: 5 }),
};

/** The first question is answered with `rows`, so that the second is asked. */
function answering(tx: Transaction, rows: unknown[]): typeof tx {
  let asked = 0;
  const ask = async (sql: string, ...values: unknown[]): Promise<unknown> => {
    const nothing = await tx.$queryRawUnsafe(sql, ...values);
    asked += 1;
    return asked === 1 ? rows : nothing;
  };
  return { ...tx, $queryRawUnsafe: ask } as unknown as typeof tx;
}

async function statementsOf(name: string): Promise<RecordedStatement[]> {
  const { tx, statements } = recordingTransaction();
  await CALLS[name]?.(tx).catch(() => undefined); // an answer of nothing is more than some can bear; what was asked is known by then
  return statements;
}

/** Functions of these modules that ask nothing. */
const NO_STATEMENTS = ['claimOf', 'storable'];

describe('every statement', () => {
  test('is looked at here', () => {
    const functions = [lanes, server, position, browseFind, browseItems, browseUsers, audit, stock, sagas, retention, deadLetters, letters, redrive, parking, outboxEnqueue, outboxBlocked, operations, verdicts, select, leases, work, counts, sellers, listings, sync, orderLedger, orderPolls, orderInbox, orderSelect, replays, bulkJobs, bulkChunks, bulkItems, bulkDrift, bulkSchedule].flatMap((module) => Object.entries(module).filter(([, value]) => typeof value === 'function').map(([name]) => name)).filter((name) => !NO_STATEMENTS.includes(name));
    expect(Object.keys(CALLS).toSorted()).toEqual(functions.toSorted());
  });

  test.each(Object.keys(CALLS))('of %s fits the schema', async (name) => {
    const statements = await statementsOf(name);
    expect(statements.length).toBeGreaterThan(0);
    for (const { sql } of statements) {
      await postgres.pool.query(`PREPARE probe AS ${sql}`);
      await postgres.pool.query('DEALLOCATE ALL');
    }
  });
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Join Type'?: string;
  Plans?: Plan[];
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** Nodes of the plan this statement gets from the ingest pool, as a named statement is planned. */
/** A parameter as EXECUTE takes it: uuid arrays travel in binary, so the server spells them out. */
async function textOf(client: pg.ClientBase, value: NonNullable<RecordedStatement['values'][number]>): Promise<string> {
  if (!Buffer.isBuffer(value)) return String(value);
  return (await client.query<{ text: string }>('SELECT $1::uuid[]::text AS text', [value])).rows[0]?.text ?? '';
}

async function planOf({ sql, values }: RecordedStatement): Promise<Plan[]> {
  const client: pg.PoolClient = await postgres.pool.connect();
  try {
    await client.query(`PREPARE plan AS ${sql}`);
    const literals: string[] = [];
    for (const value of values) literals.push(value === null ? 'NULL' : `'${(await textOf(client, value)).replaceAll("'", "''")}'`);
    const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(`EXPLAIN (FORMAT JSON) EXECUTE plan(${literals.join(', ')})`);
    return nodesOf(rows[0]!['QUERY PLAN'][0]!.Plan);
  } finally {
    await client.query('DEALLOCATE ALL');
    client.release();
  }
}

/** How each table is reached. */
const accesses = (nodes: readonly Plan[], table: string): string[] => nodes.filter((node) => node['Relation Name'] === table && node['Node Type'] !== 'ModifyTable').map((node) => `${node['Node Type']}${node['Index Name'] === undefined ? '' : ` ${node['Index Name']}`}`);

describe('on a ledger of 300,000 rows', () => {
  beforeAll(async () => {
    await postgres.pool.query(`
      INSERT INTO stock_ledger (event_id, user_id, item_id, occurred_at, quantity, delta, on_hand, kind, outcome, cause)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 1, 1, 'S', 'a', 'test' FROM generate_series(1, 300000);
      INSERT INTO inventory_items (user_id, item_id, last_event_id, on_hand) SELECT user_id, item_id, event_id, 1 FROM stock_ledger;
      ANALYZE stock_ledger, inventory_items`);
  }, 120_000);

  const thousand = (): StockFold => {
    const big = new StockFold();
    for (let n = 0; n < 1_000; n += 1) big.apply(change({ user_id: randomUuid(), item_id: randomUuid() }));
    return big;
  };

  test('a chunk reads by key: the ledger by event id, items by user and item, nothing else', async () => {
    const { tx, statements } = recordingTransaction();
    const big = thousand();
    await stock.readStock(tx, big, big.ledger.map((row) => row.event.event_id)).catch(() => undefined);
    const nodes = await planOf(statements[0]!);
    expect(accesses(nodes, 'stock_ledger')).toEqual([expect.stringMatching(/^Index (Only )?Scan stock_ledger_pkey$/)]);
    expect(accesses(nodes, 'inventory_items')).toEqual(['Index Scan inventory_items_pkey']);
    expect(nodes.map((node) => node['Node Type']).filter((type) => /Hash|Merge|Seq Scan|Sort|Materialize/.test(type))).toEqual([]);
  });

  test('a chunk writes at the place it has read: no look-up, no scan', async () => {
    const { tx, statements } = recordingTransaction();
    const big = thousand();
    for (const item of big.items) item.place = '(0,1)';
    await stock.writeStock(tx, big).catch(() => undefined);
    const nodes = await planOf(statements[0]!);
    expect(accesses(nodes, 'inventory_items')).toEqual(['Tid Scan']);
    expect(nodes.map((node) => node['Node Type']).filter((type) => /Hash|Merge|Seq Scan|Sort/.test(type))).toEqual([]);
  });

  test('a page of items walks the key to where it goes on, one of those with a flag their index; users are found one from the other', async () => {
    const plans = async (ask: (tx: Transaction) => Promise<unknown>): Promise<Plan[]> => {
      const { tx, statements } = recordingTransaction();
      await ask(tx).catch(() => undefined);
      return planOf(statements[0]!);
    };
    for (const filter of [{}, { status: 'in_stock' }, { blueprint: 1, q: 'x' }] as const) {
      const nodes = await plans((tx) => browseItems.selectItemPage(tx, randomUuid(), filter, { after: randomUuid(), most: 200 }));
      expect(accesses(nodes, 'inventory_items')).toEqual(['Index Scan inventory_items_pkey']);
      expect(nodes.map((node) => node['Node Type']).filter((type) => /Seq Scan|Sort/.test(type))).toEqual([]);
    }
    const flagged = await plans((tx) => browseItems.selectItemPage(tx, randomUuid(), { status: 'drifted' }, { most: 200 }));
    expect(accesses(flagged, 'inventory_items')).toEqual(['Index Scan inventory_items_flagged_idx']);
    const users = await plans((tx) => browseUsers.selectUsers(tx, { most: 50 }));
    for (const access of accesses(users, 'inventory_items')) expect(access).toMatch(/^Index (Only )?Scan inventory_items_(pkey|flagged_idx)$/);
  });

  test('retention walks the key and deletes by it', async () => {
    const [, walk] = await (async () => {
      const { tx, statements } = recordingTransaction();
      await retention.pruneLedger(answering(tx, [{ mine: true }]), { after: randomUuid(), keepSince: Date.now(), rows: 5_000 });
      return statements;
    })();
    const nodes = await planOf(walk!);
    expect(accesses(nodes, 'stock_ledger').length).toBeGreaterThan(0);
    for (const access of accesses(nodes, 'stock_ledger')) expect(access).toMatch(/Index (Only )?Scan stock_ledger_pkey|Tid Scan/);
  });

  test('the ingest pool has the planner settings, and no other pool has', async () => {
    const plain = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'plans', keyLookupsOnly: false });
    const settings = async (from: Postgres): Promise<Record<string, string>> =>
      Object.fromEntries((await from.pool.query<{ name: string; setting: string }>("SELECT name, setting FROM pg_settings WHERE name IN ('enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'plan_cache_mode', 'jit')")).rows.map(({ name, setting }) => [name, setting]));
    try {
      expect(await settings(postgres)).toEqual({ enable_hashjoin: 'off', enable_mergejoin: 'off', enable_seqscan: 'off', plan_cache_mode: 'force_generic_plan', jit: 'off' });
      expect(await settings(plain)).not.toEqual(await settings(postgres));
    } finally {
      await plain.close();
    }
  });
});
