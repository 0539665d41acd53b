import type pg from 'pg';
import { withAdmin } from '../../platform/kafka/index.ts';
import { compareDeadLetters, compareItems, compareLedger, compareParking } from './compare.ts';
import { compareImports } from './compare-imports.ts';
import { compareSaleRows, compareSales } from './compare-sales.ts';
import { decodeRecord } from './decode.ts';
import { createDifferences, type Difference, type Differences } from './differences.ts';
import { readFound, type Found } from './found.ts';
import { readSales, type FoundSales } from './found-sales.ts';
import { readImports } from './imports.ts';
import { settle } from './oracle.ts';
import { compareOutcomes, createOutcomeLog } from './outcomes.ts';
import { ENDED } from './sale-rules.ts';
import { countUnsettled, unpublishedIds } from './sales.sql.ts';
import { createTopicLog } from './topic-log.ts';
import { committedOffsets, endOffsets, readTopic, requireTopic, topicExists, type Offsets, type TopicReader } from './topic.ts';
import type { Counts } from './verdict.ts';
import { inSnapshot } from './verify.sql.ts';

export interface VerifyOptions extends TopicReader {
  pool: pg.Pool;
  /** Full name of the topic of PurchaseSettled. */
  outcomesTopic: string;
  /** Full name of the topic of InventorySnapshotChunk. */
  snapshotsTopic: string;
  /** Deduplication horizon of the ingest role, milliseconds. */
  horizonMs: number;
  /** Wait at most so long until the group's committed offsets reach the ends the partitions have now. */
  waitMs?: number;
  /** Every sale must have ended, and every outcome be published; with `waitMs` that is waited for too. */
  settled?: boolean;
  onProgress?: (progress: VerifyProgress) => void;
}

export type VerifyProgress = { step: 'waiting'; behind: number } | { step: 'settling'; left: number } | { step: 'reading'; records: number; of: number } | { step: 'comparing' };

export interface VerifyReport {
  /** Nothing is different. */
  ok: boolean;
  /** Every record of the topic was processed or waits with a parked user. */
  complete: boolean;
  topic: string;
  group: string;
  compared: { records: number; partitions: number; users: number; items: number; ledger_rows: number; dead_letters: number };
  outcomes: Counts;
  parked_users: number;
  imported: ImportsReport;
  sales: SalesReport;
  /** Users with events in several partitions: checked against the order the database took. */
  scattered_users: number;
  differences: { total: number; by_kind: Differences['byKind']; first: readonly Difference[] };
  duration_ms: number;
}

/** Ledger rows of bulk sync: they come from no record of the topic. */
export interface ImportsReport {
  /** Held against the chunks they came from. */
  compared: number;
  /** Their chunks are not on the topic of snapshots any more: their numbers are taken on the ledger's word. */
  not_on_topic: number;
  /** Drift that an operator had mended, on the ledger's word. */
  reconciled: number;
}

export interface SalesReport {
  total: number;
  by_state: Readonly<Record<string, number>>;
  /** Not ended, those that need an operator among them. */
  open: number;
  /** Ends of sales: told to whoever sent them, and waiting in the outbox. */
  outcomes_told: number;
  outcomes_waiting: number;
}

/**
 * Compares PostgreSQL with what follows from the whole topic. The order of the steps makes a running system comparable: the
 * committed offsets are read first (everything below them must be in the database), then the snapshot is taken, then the ends
 * (everything in the snapshot is below them). What lies between may be in the database or not yet. Outcomes likewise: what stood in
 * their topic before the snapshot must follow from it, and what the snapshot says is published must stand there.
 *
 * Throws BRX_REFUSED when the topic's beginning is gone, BRX_KAFKA_UNAVAILABLE, BRX_REGISTRY_UNAVAILABLE, or what pg throws.
 */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { clock, kafka, topic, groupId, pool, onProgress } = options;
  const started = clock.monotonic();
  await withAdmin(kafka, (admin) => requireTopic(admin, topic));
  if (options.waitMs !== undefined) await waitForGroup(options, options.waitMs);
  const committed = await withAdmin(kafka, (admin) => committedOffsets(admin, topic, groupId));
  const outcomesBefore = await withAdmin(kafka, async (admin) => ((await topicExists(admin, options.outcomesTopic)) ? endOffsets(admin, options.outcomesTopic) : undefined));
  const differences = createDifferences();

  return inSnapshot(pool, async (client) => {
    const ends = await withAdmin(kafka, (admin) => endOffsets(admin, topic));
    const log = createTopicLog();
    const of = total(ends);
    await readTopic(options, ends, (record) => {
      log.add(decodeRecord(record, options.codec));
      if (log.records % 10_000 === 0) onProgress?.({ step: 'reading', records: log.records, of });
    });
    onProgress?.({ step: 'comparing' });
    const found = await readFound(client, log, topic, differences);
    const sales = await readSales(client, log, differences);
    const imported = await readImports(client, { ...options, topic: options.snapshotsTopic }, log, found);
    const verdict = settle(log, { horizonMs: options.horizonMs, now: clock.now() }, found.evidence((partition) => committed.get(partition), sales, imported.imports));
    // Of an item only the first difference is told: sales and imports first, for their rows explain what stands behind them.
    const told = new Set<number>();
    const saleRows = compareSaleRows(log, verdict, found, differences, told);
    const importRows = compareImports(log, verdict, found, imported, differences, told);
    const ledgerRows = saleRows + importRows + compareLedger(log, verdict, found, differences, told);
    compareParking(log, found, differences);
    const deadLetters = compareDeadLetters(log, verdict, found, differences);
    const settled = options.settled === true;
    compareSales(log, verdict, sales, differences, { settled, told });

    const outcomes = createOutcomeLog();
    if (outcomesBefore !== undefined) {
      const outcomeEnds = await withAdmin(kafka, (admin) => endOffsets(admin, options.outcomesTopic));
      await readTopic({ ...options, topic: options.outcomesTopic }, outcomeEnds, (record) => outcomes.add(record, options.codec));
    } else if (sales.sagas.size > 0) await withAdmin(kafka, (admin) => requireTopic(admin, options.outcomesTopic));
    const unpublished = new Set(await unpublishedIds(client, options.outcomesTopic));
    const { told: outcomesTold, waiting } = compareOutcomes(log, sales, outcomes, { unpublished, endsBefore: outcomesBefore ?? new Map(), settled }, differences);
    const items = await compareItems(client, log, verdict, differences);
    return {
      ok: differences.total === 0,
      complete: verdict.counts.pending === 0,
      topic,
      group: groupId,
      compared: { records: log.records, partitions: ends.size, users: log.users.size, items, ledger_rows: ledgerRows, dead_letters: deadLetters },
      outcomes: verdict.counts,
      parked_users: found.parkedUsers.size,
      imported: countImports(found, imported.gone),
      sales: { ...countSales(sales), outcomes_told: outcomesTold, outcomes_waiting: waiting },
      scattered_users: verdict.scatteredUsers,
      differences: { total: differences.total, by_kind: differences.byKind, first: differences.first },
      duration_ms: Math.round(clock.monotonic() - started),
    };
  });
}

function countImports({ imports }: Found, gone: number): ImportsReport {
  const reconciled = [...imports.values()].filter(({ cause }) => cause === 'reconcile').length;
  return { compared: imports.size - reconciled - gone, not_on_topic: gone, reconciled };
}

function countSales({ sagas }: FoundSales): Pick<SalesReport, 'total' | 'by_state' | 'open'> {
  const byState: Record<string, number> = {};
  for (const { state } of sagas.values()) byState[state] = (byState[state] ?? 0) + 1;
  return { total: sagas.size, by_state: byState, open: [...sagas.values()].filter(({ state }) => !ENDED.has(state)).length };
}

const POLL_MS = 200;

/**
 * Resolves when the group has committed up to where the topic ends now and, if that is asked, every sale has ended and is told; or
 * when the time is over: the report tells which.
 */
async function waitForGroup({ clock, kafka, topic, outcomesTopic, groupId, pool, settled, signal, onProgress }: VerifyOptions, waitMs: number): Promise<void> {
  const deadline = clock.monotonic() + waitMs;
  await withAdmin(kafka, async (admin) => {
    const ends = await endOffsets(admin, topic);
    for (;;) {
      const committed = await committedOffsets(admin, topic, groupId);
      const behind = [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (committed.get(partition) ?? 0)), 0);
      if (behind === 0 || clock.monotonic() >= deadline) break;
      onProgress?.({ step: 'waiting', behind });
      await clock.sleep(POLL_MS, signal);
    }
  });
  if (settled !== true) return;
  for (;;) {
    const left = await countUnsettled(pool, outcomesTopic);
    if (left === 0 || clock.monotonic() >= deadline) return;
    onProgress?.({ step: 'settling', left });
    await clock.sleep(POLL_MS, signal);
  }
}

const total = (offsets: Offsets): number => [...offsets.values()].reduce((sum, end) => sum + end, 0);
