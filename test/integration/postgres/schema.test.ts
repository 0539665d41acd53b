import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/log.ts';
import { createPostgres, inTransaction, type Postgres } from '../../../src/platform/postgres/index.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { databaseConfig } from '../../support/database-config.ts';
import { dumpSchema } from '../../support/schema-dump.ts';

const SCHEMA_FILE = fileURLToPath(new URL('../../../prisma/schema.sql', import.meta.url));
const USER = '0190a000-0000-7000-8000-000000000001';
const ITEM = '0190a000-0000-7000-8000-000000000002';
const EVENT = '0190a000-0000-7000-8000-000000000003';
const WHEN = new Date('2026-01-02T03:04:05.678Z');

let database: TestDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createTestDatabase();
  postgres = createPostgres(databaseConfig(database.url), { logger: silentLogger, applicationName: 'schema test', keyLookupsOnly: false });
});
afterAll(async () => {
  await postgres.close();
  await database.drop();
});

async function dump(url: string, before?: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    if (before !== undefined) await client.query(before);
    return await dumpSchema(client);
  } finally {
    await client.end();
  }
}

describe('the committed schema', () => {
  test('prisma/schema.sql is what the migrations make', async () => {
    await expect(await dump(database.url)).toMatchFileSnapshot(SCHEMA_FILE);
  });

  test('prisma/schema.sql makes that schema in an empty database', async () => {
    const empty = await createEmptyDatabase();
    try {
      const committed = await readFile(SCHEMA_FILE, 'utf8');
      expect(await dump(empty.url, committed)).toBe(committed);
    } finally {
      await empty.drop();
    }
  });
});

describe('Prisma’s models fit the tables: every column is written and read back', () => {
  const source = { topic: 'brx.marketplace-events', partition: 3, offset: 2n ** 53n + 1n, recordTimestamp: WHEN, recordKey: new Uint8Array([0, 255]), recordValue: null, recordHeaders: [['a', 'Yg==']] };

  test('inventory_items', async () => {
    const row = { userId: USER, itemId: ITEM, lastEventId: EVENT, blueprintId: 2n ** 60n, priceCents: 199n, version: 7n, updatedAt: WHEN, onHand: 2_147_483_647, held: 1, flags: 3, currency: 'EUR', properties: { language: 'it' } };
    await postgres.prisma.inventoryItem.create({ data: row });
    expect(await postgres.prisma.inventoryItem.findFirst({ where: { userId: USER } })).toEqual(row);
  });

  test('stock_ledger', async () => {
    const row = { eventId: EVENT, userId: USER, itemId: ITEM, previousEventId: null, occurredAt: WHEN, recordedAt: WHEN, version: null, quantity: -2, delta: -2, onHand: 5, kind: 'A', outcome: 'a', cause: 'shop', purchaseId: null, heldDelta: null };
    await postgres.prisma.stockLedgerEntry.create({ data: row });
    expect(await postgres.prisma.stockLedgerEntry.findFirst({ where: { eventId: EVENT } })).toEqual(row);
  });

  test('parked_users and parked_events', async () => {
    const user = { userId: USER, parkedAt: WHEN, lastAttemptAt: WHEN, attempts: 2, reason: 'data', error: 'refused' };
    const event = { ...source, parkedAt: WHEN, eventId: EVENT };
    await postgres.prisma.parkedUser.create({ data: { ...user, events: { create: event } } });
    expect(await postgres.prisma.parkedUser.findFirst({ where: { userId: USER }, include: { events: true } })).toEqual({ ...user, events: [{ ...event, id: expect.any(BigInt) as bigint, userId: USER }] });
  });

  test('dead_letters', async () => {
    const handled = { state: 'redriven', stateAt: WHEN, stateBy: 'w', stateReason: 'r', redriveOf: 2n, sentEventId: EVENT, editedKey: new Uint8Array([1]), editedValue: new Uint8Array([0, 255]) };
    const row = { ...source, ...handled, createdAt: WHEN, userId: USER, eventId: null, consumerGroup: 'g', reason: 'invalid', detail: 'quantity: too small' };
    await postgres.prisma.deadLetter.create({ data: row });
    expect(await postgres.prisma.deadLetter.findFirst({ where: { offset: row.offset } })).toEqual({ ...row, id: expect.any(BigInt) as bigint });
  });

  test('outbox, outbox_blocked and operator_actions', async () => {
    const row = { availableAt: WHEN, createdAt: WHEN, partition: 3, shard: 11, userId: USER, eventId: EVENT, topic: 't', recordKey: new Uint8Array([1]), recordValue: null, recordHeaders: [['a', 'Yg==']] };
    await postgres.prisma.outboxRow.create({ data: row });
    const stored = await postgres.prisma.outboxRow.findFirst({ where: { userId: USER } });
    expect(stored).toEqual({ ...row, id: expect.any(BigInt) as bigint });
    const blocked = { id: stored!.id, shard: 11, blockedAt: WHEN, userId: USER, error: 'too large' };
    await postgres.prisma.outboxBlocked.create({ data: blocked });
    expect(await postgres.prisma.outboxBlocked.findFirst({ where: { userId: USER } })).toEqual(blocked);
    const action = { at: WHEN, who: 'me', action: 'outbox.skip', target: '1', reason: 'why', detail: { a: 1 } };
    await postgres.prisma.operatorAction.create({ data: action });
    expect(await postgres.prisma.operatorAction.findFirst({ where: { target: '1' } })).toEqual({ ...action, id: expect.any(BigInt) as bigint });
  });

  test('purchase_sagas, purchase_history and stock_holds', async () => {
    const saga = { userId: USER, purchaseId: ITEM, eventId: EVENT, startedAt: WHEN, deadlineAt: WHEN, nextActionAt: WHEN, updatedAt: WHEN, version: 2, attempts: 3, definition: 1, cancelled: true, sold: false, state: 'CALLING', reason: null, currency: 'EUR', buyerId: 'b', lines: [{ item_id: ITEM, quantity: 1, unit_price_cents: 5 }], traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await postgres.prisma.purchaseSaga.create({ data: saga });
    expect(await postgres.prisma.purchaseSaga.findFirst({ where: { userId: USER } })).toEqual(saga);
    const step = { userId: USER, purchaseId: ITEM, eventId: EVENT, at: WHEN, version: 1, fact: 'reserved', state: 'RESERVED', detail: {} };
    await postgres.prisma.purchaseHistory.create({ data: step });
    expect(await postgres.prisma.purchaseHistory.findFirst({ where: { userId: USER } })).toEqual(step);
    const hold = { userId: USER, itemId: ITEM, purchaseId: ITEM, createdAt: WHEN, quantity: 3 };
    await postgres.prisma.stockHold.create({ data: hold });
    expect(await postgres.prisma.stockHold.findFirst({ where: { userId: USER } })).toEqual(hold);
  });

  test('marketplace_sellers, marketplace_listings and marketplace_operations', async () => {
    const seller = {
      userId: USER, workAt: WHEN, leaseUntil: WHEN, openUntil: WHEN, leaseEpoch: 2n ** 60n, leaseOwner: ITEM, failures: 3, status: 'paused', statusReason: 'on holiday', statusAt: WHEN, addedAt: WHEN, checkedAt: WHEN,
      appId: 2n ** 60n, sellerId: 2n ** 60n + 1n, appName: 'app', token: new Uint8Array([0, 255, 7]), tokenKeyId: 'k', tokenHint: '…abcd', listingSync: true, buffer: 3,
      webhookSecret: new Uint8Array([9]), webhookSecretKeyId: 'k',
    };
    await postgres.prisma.marketplaceSeller.create({ data: seller });
    const listing = {
      userId: USER, itemId: ITEM, productId: 2n ** 60n, blueprintId: 2n ** 60n + 1n, confirmedAt: WHEN, linkedAt: WHEN, operationId: EVENT, quantity: 2_147_483_647, priceCents: 2n ** 60n, gone: true, currency: 'EUR',
      product: { name: 'Card', properties: { foil: true } }, soldLines: [1n, 2n ** 60n], mismatch: { kind: 'gone', at: 1, expected: null, found: null, operationId: null }, unaccounted: -2,
    };
    await postgres.prisma.marketplaceListing.create({ data: listing });
    expect(await postgres.prisma.marketplaceSeller.findFirst({ where: { userId: USER }, include: { listings: true } })).toEqual({ ...seller, listings: [listing] });
    const operation = {
      operationId: EVENT, userId: USER, itemId: ITEM, purchaseId: USER, returns: ITEM, productId: 2n ** 60n, createdAt: WHEN, dueAt: WHEN, readAt: WHEN, sentAt: WHEN, settledAt: WHEN, leaseEpoch: 2n ** 60n, attempts: 2, quantity: 3, before: 5,
      target: 2, marked: true, kind: 'RETURN', state: 'UNKNOWN', reason: 'unexplained', siblings: { '1': 2 }, evidence: [{ at: 1, call: 'write', outcome: 'unknown' }], jobId: 'a job', blueprintId: 2n ** 60n, taken: null,
    };
    await postgres.prisma.marketplaceOperation.create({ data: operation });
    expect(await postgres.prisma.marketplaceOperation.findFirst({ where: { userId: USER } })).toEqual({ ...operation, seq: expect.any(BigInt) as bigint });
    const problem = { userId: USER, itemId: ITEM, at: WHEN, kind: 'refused', said: 'no such condition', wanted: '[]' };
    await postgres.prisma.marketplaceProblem.create({ data: problem });
    expect(await postgres.prisma.marketplaceProblem.findFirst({ where: { userId: USER } })).toEqual(problem);
  });

  test('remote_orders, remote_order_lines, webhook_inbox and remote_order_polls', async () => {
    const order = { userId: USER, orderId: 2n ** 60n, seenAt: WHEN, firstSeenAt: WHEN, changedAt: WHEN, open: true, viaZero: false, presale: null, state: 'paid', code: 'C' };
    const line = { lineId: 2n ** 60n + 1n, productId: 2n ** 60n, blueprintId: null, soldAt: WHEN, cancelledAt: WHEN, itemId: ITEM, quantity: 9, cancelled: 5, relisted: 2, kept: 1, taken: 9, returned: 2, counting: 'sold', name: 'Card' };
    await postgres.prisma.remoteOrder.create({ data: { ...order, lines: { create: line } } });
    expect(await postgres.prisma.remoteOrder.findFirst({ where: { userId: USER }, include: { lines: true } })).toEqual({ ...order, lines: [{ ...line, userId: USER, orderId: order.orderId }] });
    const call = { userId: USER, orderId: 7n, receivedAt: WHEN, processedAt: WHEN, envelopeId: 'e', cause: 'order.create' };
    await postgres.prisma.webhookCall.create({ data: call });
    expect(await postgres.prisma.webhookCall.findFirst({ where: { userId: USER } })).toEqual(call);
    const poll = { nextPollAt: WHEN, webhookAt: WHEN, leaseUntil: WHEN, polledAt: WHEN, throughId: 2n ** 60n, webhookSeq: 4n, failures: 2, leaseOwner: ITEM, problem: 'away' };
    expect(await postgres.prisma.remoteOrderPoll.findFirst({ where: { userId: USER } })).toMatchObject({ userId: USER, polledAt: null }); // the account’s trigger made it
    await postgres.prisma.remoteOrderPoll.update({ where: { userId: USER }, data: poll });
    expect(await postgres.prisma.remoteOrderPoll.findFirst({ where: { userId: USER } })).toEqual({ userId: USER, ...poll });
  });

  test('bulk_sync_jobs, bulk_sync_chunks, bulk_sync_findings and drift', async () => {
    const job = { jobId: EVENT, userId: USER, askedAt: WHEN, dueAt: WHEN, exportedAt: WHEN, confirmedAt: WHEN, applyingAt: WHEN, endedAt: null, leaseUntil: WHEN, leaseOwner: ITEM, leaseEpoch: 2, exports: 1, failures: 3, products: 4, unread: 5, chunks: 6, dryRun: true, confirmShrink: false, scheduled: true, ordersRead: true, mode: 'adopt-remote', state: 'APPLYING', askedBy: 'w', problem: null, said: 's', digest: 'd', ambiguous: [ITEM] };
    const chunk = { chunk: 1, eventId: EVENT, sentAt: WHEN, endedAt: WHEN, nextTryAt: WHEN, waitsSince: WHEN, tries: 3, retries: 2, created: 1, adopted: 2, linked: 3, pushed: 4, drifted: 5, leftAlone: 6, same: 7, unmapped: 8, state: 'PARKED', reason: 'r', waitsFor: 'catalogue', waitsSaid: 's', productIds: [2n ** 60n], products: '[]' };
    const finding = { productId: 2n ** 60n, itemId: ITEM, ours: 1, theirs: 2, kind: 'drifted', cause: 'more_there', name: 'Card' };
    await postgres.prisma.bulkSyncJob.create({ data: { ...job, parts: { create: chunk }, findings: { create: finding } } });
    const stored = await postgres.prisma.bulkSyncJob.findFirst({ where: { userId: USER }, include: { parts: true, findings: true } });
    expect(stored).toEqual({ ...job, parts: [{ ...chunk, jobId: EVENT }], findings: [{ ...finding, jobId: EVENT, id: expect.any(BigInt) as bigint }] });
    const drift = { userId: USER, jobId: EVENT, firstAt: WHEN, seenAt: WHEN, productId: 7n, itemId: ITEM, ours: 1, theirs: null, confirmed: true, cause: 'gone', subject: ITEM, name: null };
    await postgres.prisma.drift.create({ data: drift });
    expect(await postgres.prisma.drift.findFirst({ where: { userId: USER } })).toEqual(drift);
  });

  test('the view stock_history spells codes out', async () => {
    const history = await inTransaction(postgres, async (tx) => {
      await tx.stockLedgerEntry.create({ data: { eventId: USER, userId: USER, itemId: USER, occurredAt: WHEN, quantity: 0, delta: -1, onHand: 0, kind: 'R', outcome: 'a', cause: 'shop' } });
      return tx.$queryRawUnsafe('SELECT kind, outcome, delta, cause FROM stock_history WHERE event_id = $1::uuid', USER);
    });
    expect(history).toEqual([{ kind: 'REMOVE', outcome: 'applied', delta: -1, cause: 'shop' }]);
  });
});

describe('what the tables refuse', () => {
  const item = { user_id: ITEM, item_id: EVENT, last_event_id: EVENT, on_hand: 1, held: 0, flags: 0 };
  const ledger = { event_id: ITEM, user_id: USER, item_id: ITEM, occurred_at: WHEN, quantity: 1, delta: 0, on_hand: 1, kind: 'S', outcome: 's', cause: 'shop' };
  const deadLetter = { topic: 't', partition: 0, offset: 1, record_timestamp: WHEN, record_headers: '[]', reason: 'invalid', detail: '', consumer_group: 'g' };

  const saga = { user_id: USER, purchase_id: EVENT, event_id: EVENT, started_at: WHEN, deadline_at: WHEN, next_action_at: WHEN, version: 1, state: 'RESERVED', currency: 'EUR', lines: '[]' };
  const step = { user_id: USER, purchase_id: EVENT, event_id: EVENT, at: WHEN, version: 1, fact: 'reserved', state: 'RESERVED', detail: '{}' };

  const seller = { user_id: ITEM, status: 'active', token: Buffer.from([1]), token_key_id: 'k', token_hint: '…', seller_id: 7 };
  const listing = { user_id: ITEM, item_id: EVENT, product_id: 1, blueprint_id: 2, confirmed_at: WHEN, quantity: 3, price_cents: 4, product: '{}' };
  const operation = { operation_id: ITEM, user_id: ITEM, item_id: EVENT, purchase_id: USER, quantity: 1, kind: 'TAKE', state: 'PENDING', due_at: WHEN };
  const sent = { ...operation, state: 'SENT', sent_at: WHEN, before: 5, target: 4, lease_epoch: 1 };

  const order = { user_id: USER, order_id: 7, seen_at: WHEN, open: true, state: 'paid' };
  const orderLine = { user_id: USER, order_id: 7, line_id: 8, quantity: 5, cancelled: 3, relisted: 1, kept: 1, taken: 5, returned: 1, counting: 'sold' };

  const job = { job_id: ITEM, user_id: ITEM, due_at: WHEN, dry_run: false, confirm_shrink: false, scheduled: false, mode: 'report', state: 'REQUESTED', asked_by: 'w' };
  const chunk = { job_id: ITEM, chunk: 0, event_id: EVENT, product_ids: [1], products: '[]' };

  const insert = async (table: string, row: object): Promise<void> => {
    const columns = Object.keys(row).map((name) => `"${name}"`);
    await postgres.pool.query(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map((_, index) => `$${index + 1}`).join()})`, Object.values(row));
  };

  // Each row of the table below differs from one that is accepted in one thing only.
  beforeAll(async () => {
    await insert('inventory_items', item);
    await insert('stock_ledger', ledger);
    await insert('dead_letters', deadLetter);
    await insert('purchase_sagas', saga);
    await insert('purchase_history', step);
    await insert('remote_orders', order);
    await insert('remote_order_lines', orderLine);
    await insert('marketplace_sellers', seller);
    await insert('marketplace_listings', listing);
    await insert('marketplace_operations', sent);
    await insert('bulk_sync_jobs', job);
  });

  test.each([
    ['inventory_items_on_hand_not_negative', 'inventory_items', { ...item, on_hand: -1, flags: 4 }],
    ['inventory_items_held_not_negative', 'inventory_items', { ...item, held: -1 }],
    ['inventory_items_price_not_negative', 'inventory_items', { ...item, price_cents: -1 }],
    ['inventory_items_currency_three_characters', 'inventory_items', { ...item, currency: 'EURO' }],
    ['inventory_items_flags_known', 'inventory_items', { ...item, flags: 8 }],
    ['inventory_items_oversold_told', 'inventory_items', { ...item, held: 2 }],
    ['inventory_items_oversold_told', 'inventory_items', { ...item, flags: 4 }],
    ['stock_ledger_kind_known', 'stock_ledger', { ...ledger, kind: 'X' }],
    ['stock_ledger_outcome_known', 'stock_ledger', { ...ledger, outcome: 'x' }],
    ['stock_ledger_only_applied_changes', 'stock_ledger', { ...ledger, delta: 1 }],
    ['stock_ledger_pkey', 'stock_ledger', ledger],
    ['stock_ledger_purchase_told', 'stock_ledger', { ...ledger, kind: 'P' }],
    ['stock_ledger_purchase_told', 'stock_ledger', { ...ledger, purchase_id: USER, held_delta: 0 }],
    ['stock_ledger_only_applied_changes', 'stock_ledger', { ...ledger, kind: 'P', outcome: 'r', purchase_id: USER, held_delta: 1 }],
    ['purchase_sagas_state_known', 'purchase_sagas', { ...saga, state: 'DREAMING' }],
    ['purchase_sagas_waits_unless_ended', 'purchase_sagas', { ...saga, next_action_at: null }],
    ['purchase_sagas_waits_unless_ended', 'purchase_sagas', { ...saga, state: 'REJECTED', reason: 'expired' }],
    ['purchase_sagas_sold_when_confirmed', 'purchase_sagas', { ...saga, state: 'CONFIRMED', next_action_at: null }],
    ['purchase_sagas_sold_when_confirmed', 'purchase_sagas', { ...saga, state: 'COMPENSATED', next_action_at: null, sold: true, reason: 'cancelled' }],
    ['purchase_sagas_reason_when_undone', 'purchase_sagas', { ...saga, state: 'COMPENSATING' }],
    ['purchase_sagas_reason_known', 'purchase_sagas', { ...saga, reason: 'because' }],
    ['purchase_sagas_version_positive', 'purchase_sagas', { ...saga, version: 0 }],
    ['purchase_sagas_pkey', 'purchase_sagas', saga],
    ['purchase_history_pkey', 'purchase_history', step],
    ['marketplace_sellers_status_known', 'marketplace_sellers', { ...seller, user_id: EVENT, seller_id: 8, status: 'asleep' }],
    ['marketplace_sellers_lease_whole', 'marketplace_sellers', { ...seller, user_id: EVENT, seller_id: 8, lease_owner: USER }],
    ['marketplace_sellers_lease_whole', 'marketplace_sellers', { ...seller, user_id: EVENT, seller_id: 8, lease_until: WHEN }],
    ['marketplace_sellers_failures_counted', 'marketplace_sellers', { ...seller, user_id: EVENT, seller_id: 8, failures: -1 }],
    ['marketplace_sellers_seller_id_key', 'marketplace_sellers', { ...seller, user_id: EVENT }],
    ['marketplace_sellers_pkey', 'marketplace_sellers', { ...seller, seller_id: 8 }],
    ['marketplace_listings_quantity_counted', 'marketplace_listings', { ...listing, item_id: USER, product_id: 2, quantity: -1 }],
    ['marketplace_listings_product_once', 'marketplace_listings', { ...listing, item_id: USER }],
    ['marketplace_listings_pkey', 'marketplace_listings', { ...listing, product_id: 2 }],
    ['marketplace_listings_seller', 'marketplace_listings', { ...listing, user_id: EVENT }],
    ['marketplace_operations_kind_known', 'marketplace_operations', { ...operation, operation_id: USER, kind: 'GIFT' }],
    ['marketplace_operations_state_known', 'marketplace_operations', { ...operation, operation_id: USER, state: 'DREAMING', due_at: null }],
    ['marketplace_operations_due_while_open', 'marketplace_operations', { ...operation, operation_id: USER, due_at: null }],
    ['marketplace_operations_due_while_open', 'marketplace_operations', { ...operation, operation_id: USER, state: 'APPLIED' }],
    ['marketplace_operations_intent_before_call', 'marketplace_operations', { ...sent, operation_id: USER, item_id: USER, sent_at: null }],
    ['marketplace_operations_intent_before_call', 'marketplace_operations', { ...sent, operation_id: USER, item_id: USER, target: null }],
    ['marketplace_operations_intent_before_call', 'marketplace_operations', { ...sent, operation_id: USER, item_id: USER, state: 'UNKNOWN', lease_epoch: null }],
    ['marketplace_operations_reason_when_not_done', 'marketplace_operations', { ...operation, operation_id: USER, state: 'REFUSED', due_at: null }],
    ['marketplace_operations_reason_when_not_done', 'marketplace_operations', { ...operation, operation_id: USER, state: 'NEEDS_OPERATOR', due_at: null }],
    ['marketplace_operations_return_of_take', 'marketplace_operations', { ...operation, operation_id: USER, kind: 'RETURN' }],
    ['marketplace_operations_return_of_take', 'marketplace_operations', { ...operation, operation_id: USER, returns: USER }],
    ['marketplace_operations_sale_known', 'marketplace_operations', { ...operation, operation_id: USER, purchase_id: null }],
    ['marketplace_operations_quantity_positive', 'marketplace_operations', { ...operation, operation_id: USER, quantity: 0 }],
    ['marketplace_operations_one_outstanding', 'marketplace_operations', { ...sent, operation_id: USER }],
    ['marketplace_operations_one_outstanding', 'marketplace_operations', { ...sent, operation_id: USER, state: 'UNKNOWN' }],
    ['marketplace_operations_pkey', 'marketplace_operations', operation],
    ['stock_holds_quantity_positive', 'stock_holds', { user_id: USER, item_id: ITEM, purchase_id: EVENT, quantity: 0 }],
    ['outbox_shard_known', 'outbox', { topic: 't', shard: 12 }],
    ['dead_letters_reason_known', 'dead_letters', { ...deadLetter, reason: 'because' }],
    ['dead_letters_state_known', 'dead_letters', { ...deadLetter, state: 'lost', state_at: WHEN }],
    ['dead_letters_state_dated', 'dead_letters', { ...deadLetter, state: 'redriven' }],
    ['dead_letters_edited_is_sent', 'dead_letters', { ...deadLetter, sent_event_id: EVENT }],
    ['dead_letters_topic_partition_offset_key', 'dead_letters', deadLetter],
    ['remote_orders_pkey', 'remote_orders', order],
    ['remote_orders_id_positive', 'remote_orders', { ...order, order_id: 0 }],
    ['remote_order_lines_pkey', 'remote_order_lines', orderLine],
    ['remote_order_lines_order', 'remote_order_lines', { ...orderLine, order_id: 9 }],
    ['remote_order_lines_counting_known', 'remote_order_lines', { ...orderLine, line_id: 9, counting: 'twice' }],
    ['remote_order_lines_copies', 'remote_order_lines', { ...orderLine, line_id: 9, cancelled: 1 }],
    ['remote_order_lines_copies', 'remote_order_lines', { ...orderLine, line_id: 9, cancelled: 6 }],
    ['remote_order_lines_effect', 'remote_order_lines', { ...orderLine, line_id: 9, taken: 7 }],
    ['remote_order_lines_effect', 'remote_order_lines', { ...orderLine, line_id: 9, taken: 0, returned: 4 }],
    ['remote_order_polls_seller', 'remote_order_polls', { user_id: EVENT }],
    ['bulk_sync_jobs_mode_known', 'bulk_sync_jobs', { ...job, mode: 'guess' }],
    ['bulk_sync_jobs_state_known', 'bulk_sync_jobs', { ...job, state: 'ODD' }],
    ['bulk_sync_jobs_due_while_open', 'bulk_sync_jobs', { ...job, due_at: null }],
    ['bulk_sync_jobs_due_while_open', 'bulk_sync_jobs', { ...job, state: 'DONE' }],
    ['bulk_sync_jobs_applies_what', 'bulk_sync_jobs', { ...job, state: 'APPLYING' }],
    ['bulk_sync_jobs_one_open', 'bulk_sync_jobs', { ...job, job_id: USER }],
    ['bulk_sync_jobs_pkey', 'bulk_sync_jobs', { ...job, user_id: EVENT }],
    ['bulk_sync_chunks_state_known', 'bulk_sync_chunks', { ...chunk, state: 'ODD' }],
    ['bulk_sync_chunks_products_kept', 'bulk_sync_chunks', { ...chunk, state: 'DONE' }],
    ['bulk_sync_chunks_job', 'bulk_sync_chunks', { ...chunk, job_id: USER }],
    ['bulk_sync_findings_job', 'bulk_sync_findings', { job_id: USER, kind: 'left', cause: 'busy' }],
    ['parked_users_attempts_not_negative', 'parked_users', { user_id: ITEM, reason: '', error: '', attempts: -1 }],
    ['parked_events_user_id_fkey', 'parked_events', { topic: 't', partition: 0, offset: 1, record_timestamp: WHEN, record_headers: '[]', user_id: ITEM, event_id: ITEM }],
  ])('%s', async (constraint, table, row) => {
    await expect(insert(table, row)).rejects.toMatchObject({ constraint });
  });

  test.each([
    ['RESERVED', 'REJECTED'],
    ['CALLING', 'RESERVED'],
    ['RECONCILING', 'REJECTED'],
    ['COMPENSATING', 'CONFIRMED'],
    ['COMPENSATING', 'CALLING'],
    ['CONFIRMED', 'CALLING'],
    ['REJECTED', 'COMPENSATED'],
    ['COMPENSATED', 'CONFIRMED'],
  ])('a saga that goes from %s to %s', async (from, to) => {
    const stateOf = (state: string): object => ({ state, sold: state === 'CONFIRMED', reason: ['REJECTED', 'COMPENSATED', 'COMPENSATING'].includes(state) ? 'expired' : null, next_action_at: ['CONFIRMED', 'REJECTED', 'COMPENSATED'].includes(state) ? null : WHEN });
    const id = `0190a000-0000-7000-8000-${String(from.length * 1_000 + to.length).padStart(12, '0')}`;
    await insert('purchase_sagas', { ...saga, ...stateOf(from), user_id: id, purchase_id: `${id.slice(0, -1)}f` });
    const columns = Object.entries({ ...stateOf(to), version: 2 });
    const update = postgres.pool.query(`UPDATE purchase_sagas SET ${columns.map(([name], index) => `${name} = $${index + 2}`).join()} WHERE user_id = $1`, [id, ...columns.map(([, value]) => value as unknown)]);
    await expect(update).rejects.toMatchObject({ constraint: 'purchase_sagas_step_allowed' });
  });

  test('a saga whose version goes back', async () => {
    await expect(postgres.pool.query("UPDATE purchase_sagas SET version = 0, state = 'CALLING' WHERE user_id = $1", [USER])).rejects.toMatchObject({ constraint: 'purchase_sagas_step_allowed' });
  });

  const STATES = ['PENDING', 'SENT', 'UNKNOWN', 'APPLIED', 'REFUSED', 'WITHDRAWN', 'NEEDS_OPERATOR'];
  /** As the drawing of src/marketplace/operations/operation.ts has it, with what operators may say; written anew here. */
  const STEPS: Record<string, string[]> = {
    PENDING: ['SENT', 'APPLIED', 'REFUSED', 'WITHDRAWN'],
    SENT: ['PENDING', 'UNKNOWN', 'APPLIED', 'REFUSED', 'NEEDS_OPERATOR'],
    UNKNOWN: ['PENDING', 'APPLIED', 'REFUSED', 'NEEDS_OPERATOR'],
    NEEDS_OPERATOR: ['PENDING', 'UNKNOWN', 'APPLIED', 'REFUSED'],
  };
  const moves = ['TAKE', 'RETURN', 'LOWER'].flatMap((kind) =>
    STATES.flatMap((from) => STATES.map((to) => ({ kind, from, to, allowed: from === to || STEPS[from]?.includes(to) === true || (kind === 'RETURN' && from === 'REFUSED' && ['PENDING', 'APPLIED'].includes(to)) }))),
  );

  test.each(moves)('a $kind that goes from $from to $to: allowed $allowed', async ({ kind, from, to, allowed }) => {
    const id = `0190a000-0000-7000-8000-${(['TAKE', 'RETURN', 'LOWER'].indexOf(kind) * 100 + STATES.indexOf(from) * 10 + STATES.indexOf(to)).toString(16).padStart(11, '0')}9`;
    const stateOf = (state: string): object => ({ state, due_at: ['PENDING', 'SENT', 'UNKNOWN'].includes(state) ? WHEN : null, reason: ['REFUSED', 'NEEDS_OPERATOR'].includes(state) ? 'operator' : null });
    await insert('marketplace_operations', { ...sent, operation_id: id, item_id: id, kind, returns: kind === 'RETURN' ? USER : null, ...stateOf(from) });
    const columns = Object.entries(stateOf(to));
    const update = postgres.pool.query(`UPDATE marketplace_operations SET ${columns.map(([name], index) => `${name} = $${index + 2}`).join()} WHERE operation_id = $1`, [id, ...columns.map(([, value]) => value as unknown)]);
    if (allowed) expect((await update).rowCount).toBe(1);
    else await expect(update).rejects.toMatchObject({ constraint: 'marketplace_operations_step_allowed' });
  });
});
