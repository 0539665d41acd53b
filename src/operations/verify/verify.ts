import type pg from 'pg';
import { compareDeadLetters, compareItems, compareLedger, compareParking } from './compare.ts';
import { createDifferences, type Difference, type Differences } from './differences.ts';
import { readFound } from './found.ts';
import { settle, type Counts } from './oracle.ts';
import { createTopicLog } from './topic-log.ts';
import { committedOffsets, endOffsets, readTopic, requireTopic, withAdmin, type Offsets, type TopicReader } from './topic.ts';
import { inSnapshot } from './verify.sql.ts';

export interface VerifyOptions extends TopicReader {
  pool: pg.Pool;
  /** Deduplication horizon of the ingest role, milliseconds. */
  horizonMs: number;
  /** Wait at most so long until the group's committed offsets reach the ends the partitions have now. */
  waitMs?: number;
  onProgress?: (progress: VerifyProgress) => void;
}

export type VerifyProgress = { step: 'waiting'; behind: number } | { step: 'reading'; records: number; of: number } | { step: 'comparing' };

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
  /** Users with events in several partitions: checked against the order the database took. */
  scattered_users: number;
  differences: { total: number; by_kind: Differences['byKind']; first: readonly Difference[] };
  duration_ms: number;
}

/**
 * Compares PostgreSQL with what follows from the whole topic. The order of the steps makes a running system comparable: the
 * committed offsets are read first (everything below them must be in the database), then the snapshot is taken, then the ends
 * (everything in the snapshot is below them). What lies between may be in the database or not yet.
 *
 * Throws BRX_REFUSED when the topic's beginning is gone, BRX_KAFKA_UNAVAILABLE, BRX_REGISTRY_UNAVAILABLE, or what pg throws.
 */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { clock, kafka, topic, groupId, pool, onProgress } = options;
  const started = clock.monotonic();
  await withAdmin(kafka, (admin) => requireTopic(admin, topic));
  if (options.waitMs !== undefined) await waitForGroup(options, options.waitMs);
  const committed = await withAdmin(kafka, (admin) => committedOffsets(admin, topic, groupId));
  const differences = createDifferences();

  return inSnapshot(pool, async (client) => {
    const ends = await withAdmin(kafka, (admin) => endOffsets(admin, topic));
    const log = createTopicLog();
    const of = total(ends);
    await readTopic(options, ends, (record) => {
      log.add(record);
      if (log.records % 10_000 === 0) onProgress?.({ step: 'reading', records: log.records, of });
    });
    onProgress?.({ step: 'comparing' });
    const found = await readFound(client, log, topic, differences);
    const verdict = settle(log, { horizonMs: options.horizonMs, now: clock.now() }, found.evidence((partition) => committed.get(partition)));
    const ledgerRows = compareLedger(log, verdict, found, differences);
    compareParking(log, found, differences);
    const deadLetters = compareDeadLetters(log, verdict, found, differences);
    const items = await compareItems(client, log, verdict, differences);
    return {
      ok: differences.total === 0,
      complete: verdict.counts.pending === 0,
      topic,
      group: groupId,
      compared: { records: log.records, partitions: ends.size, users: log.users.size, items, ledger_rows: ledgerRows, dead_letters: deadLetters },
      outcomes: verdict.counts,
      parked_users: found.parkedUsers.size,
      scattered_users: verdict.scatteredUsers,
      differences: { total: differences.total, by_kind: differences.byKind, first: differences.first },
      duration_ms: Math.round(clock.monotonic() - started),
    };
  });
}

const POLL_MS = 200;

/** Resolves when the group has committed up to where the topic ends now, or when the time is over: the report tells which. */
async function waitForGroup({ clock, kafka, topic, groupId, signal, onProgress }: VerifyOptions, waitMs: number): Promise<void> {
  const deadline = clock.monotonic() + waitMs;
  await withAdmin(kafka, async (admin) => {
    const ends = await endOffsets(admin, topic);
    for (;;) {
      const committed = await committedOffsets(admin, topic, groupId);
      const behind = [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (committed.get(partition) ?? 0)), 0);
      if (behind === 0 || clock.monotonic() >= deadline) return;
      onProgress?.({ step: 'waiting', behind });
      await clock.sleep(POLL_MS, signal);
    }
  });
}

const total = (offsets: Offsets): number => [...offsets.values()].reduce((sum, end) => sum + end, 0);
