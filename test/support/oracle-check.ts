import type pg from 'pg';
import { createCodec, createRegistry } from '../../src/platform/kafka/index.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { verify, type VerifyReport } from '../../src/operations/verify/index.ts';
import { stackUrls } from './stack.ts';
import type { TestTopics } from './topic.ts';

export const HORIZON_MS = 30 * 86_400_000;

/**
 * Compares PostgreSQL with what follows from the whole topic: every id seen, once in effect, in the order of its user, and nothing
 * missing below the offsets the group has committed. `settled`: and every sale has ended and is told. Throws with the first
 * differences. May be called while workers run.
 */
export async function checkOracle(topics: TestTopics, pool: pg.Pool, options: { complete: boolean; settled?: boolean; waitMs?: number }): Promise<VerifyReport> {
  const codec = createCodec(createRegistry({ url: stackUrls().registryUrl, username: undefined, password: undefined }));
  const { waitMs, settled } = options;
  const report = await verify({
    kafka: topics.kafka,
    codec,
    clock: systemClock,
    topic: topics.events,
    outcomesTopic: topics.outcomes,
    snapshotsTopic: topics.snapshots,
    groupId: topics.groupId,
    pool,
    horizonMs: HORIZON_MS,
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(settled === undefined ? {} : { settled }),
  });
  if (!report.ok) throw new Error(`the database is not what the topic says: ${report.differences.total} differences, ${JSON.stringify(report.differences.by_kind)}\n${JSON.stringify(report.differences.first.slice(0, 5), null, 1)}`);
  if (options.complete && !report.complete) throw new Error(`${report.outcomes.pending} records of ${report.compared.records} were not processed${waitMs === undefined ? '' : ` within ${waitMs / 1_000} s`}`);
  return report;
}

interface DeadLetterRow {
  id: string;
  partition: number;
  record_key: Buffer | null;
  record_value: Buffer | null;
}

/** Every dead letter of the table is in the `.dlq` topic with its original key, bytes and partition, and nothing else is. Returns copies by id. */
export async function checkDeadLetterTopic(topics: TestTopics, pool: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<DeadLetterRow>('SELECT id::text, partition, record_key, record_value FROM dead_letters ORDER BY id');
  const expected = new Map(rows.map((row) => [row.id, row]));
  const copies = new Map<string, number>();
  for (const record of await topics.readAll(topics.deadLetters)) {
    const id = String(record.headers?.['brx-dead-letter-id']);
    const row = expected.get(id);
    if (row === undefined) throw new Error(`${topics.deadLetters} holds dead letter ${id}, which the table does not know`);
    if (!sameBytes(row.record_key, record.key) || !sameBytes(row.record_value, record.value) || row.partition !== record.partition) throw new Error(`dead letter ${id} was not published as it came`);
    copies.set(id, (copies.get(id) ?? 0) + 1);
  }
  const missing = rows.filter(({ id }) => !copies.has(id));
  if (missing.length > 0) throw new Error(`${missing.length} of ${rows.length} dead letters were not published, the first is ${missing[0]?.id}`);
  return copies;
}

const sameBytes = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b));
