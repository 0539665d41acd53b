import { BrxError } from '../../errors.ts';
import { chunkHandler, MARKETPLACE_RECORDS, type ApplyDeps } from '../../ingest/index.ts';
import { retryMs } from '../../platform/backoff.ts';
import { isPassing } from '../../platform/claim-loop.ts';
import type { SourceRecord } from '../../platform/consumer/index.ts';
import { withAdmin } from '../../platform/kafka/index.ts';
import { createPostgres, type Postgres } from '../../platform/postgres/index.ts';
import { counted } from '../../platform/words.ts';
import type { PurchaseContext } from '../../purchase/index.ts';
import { Decoder } from '../../records/index.ts';
import { migrate } from '../migrate/index.ts';
import { committedOffsets, endOffsets, inSnapshot, readTopic, requireTopic, type Offsets } from '../verify/index.ts';
import { sourceOf } from './effect.ts';
import { compareShadow, countRefused, createShadow, dropShadow, leaveRebuild, readDecided, schemaOf, serverNow, takeRebuild, type Compared } from './rebuild.sql.ts';
import type { ReplayDeps } from './replay.ts';
import { readRemembered } from './replays.sql.ts';

export interface RebuildOptions extends ReplayDeps {
  readonly purchase: PurchaseContext;
  /** How long the group is waited for, to have read what the rebuild has. */
  readonly waitMs: number;
  /** Leave the shadow tables for a look; the next rebuild removes them. */
  readonly keep: boolean;
  readonly onProgress?: (progress: RebuildProgress) => void;
}

export type RebuildProgress = { readonly step: 'rebuilding'; readonly records: number; readonly of: number } | { readonly step: 'waiting'; readonly behind: number } | { readonly step: 'comparing' };

export interface RebuildReport {
  readonly ok: boolean;
  readonly topic: string;
  readonly group: string;
  /** The schema with the shadow tables, if they were kept. */
  readonly schema: string | null;
  readonly records: number;
  /** Left out: a clock or an operator decided what came of them. */
  readonly decided: number;
  /** With events in several partitions: the order the tables took is theirs, and `brx-sync verify` looks at it. */
  readonly scatteredUsers: number;
  /** Events that the shadow tables refused. */
  readonly refused: number;
  readonly compared: Omit<Compared, 'total' | 'first'>;
  readonly differences: Pick<Compared, 'total' | 'first'>;
  readonly durationMs: number;
}

const CHUNK = 500;
const FIRST_DIFFERENCES = 20;
const LONGEST_COMPARISON_MS = 6 * 3_600_000;
/** Longest wait for one chunk. */
const PATIENCE_MS = 120_000;
const POLL_MS = 200;

/**
 * Replays the whole topic, through the ingest role's own code, into empty shadow tables, and compares them with those that are used. A
 * second build from the same records: what differs was changed by something else than the topic.
 *
 * It begins with a moment of the server's clock, then asks where the topic ends: whatever the tables recorded before that moment came
 * from a record that is read. Once the group has read that far, too, whatever was rebuilt must be there. So a running system can be
 * compared; it shares the users' lanes with it, a chunk at a time.
 *
 * Throws BRX_REFUSED when the topic's beginning is gone, another rebuild runs, or the group does not get that far.
 */
export async function rebuildVerify(options: RebuildOptions): Promise<RebuildReport> {
  const { clock, kafka, group, postgres, onProgress } = options;
  const started = clock.monotonic();
  const owner = await postgres.pool.connect();
  try {
    if (!(await takeRebuild(owner))) throw new BrxError('BRX_REFUSED', 'another rebuild is under way in this database', { remedy: 'wait for it; a rebuild that was killed lets go by itself' });
    const began = await serverNow(owner);
    const ends = await withAdmin(kafka, async (admin) => {
      await requireTopic(admin, group.topic);
      return endOffsets(admin, group.topic);
    });
    const schema = schemaOf(Math.floor(clock.random() * 2 ** 40).toString(36));
    await createShadow(owner, schema);
    try {
      await migrate(postgres.config.url, { logger: options.logger, schema, ...(options.signal !== undefined && { signal: options.signal }) });
      const rebuilt = await rebuild(options, schema, ends);
      await waitForGroup(options, ends);
      onProgress?.({ step: 'comparing' });
      const { refused, compared } = await withPatientPool(options, (pool) =>
        inSnapshot(pool, async (client) => ({
          refused: await countRefused(client, schema),
          compared: await compareShadow(client, { schema, topic: group.topic, began, apart: rebuilt.scattered, ends: [...ends].map(([partition, end]) => ({ partition, end })), most: FIRST_DIFFERENCES }),
        })),
      );
      const { total, first, ...counts } = compared;
      return {
        ok: total === 0 && refused === 0,
        topic: group.topic,
        group: group.id,
        schema: options.keep ? schema : null,
        records: rebuilt.records,
        decided: rebuilt.decided,
        scatteredUsers: rebuilt.scattered.length,
        refused,
        compared: counts,
        differences: { total, first },
        durationMs: Math.round(clock.monotonic() - started),
      };
    } finally {
      if (!options.keep) await dropShadow(owner, schema);
    }
  } finally {
    await leaveRebuild(owner).catch(() => undefined); // it goes with the connection, too
    owner.release();
  }
}

/**
 * A pool of its own for the comparison, which reads both builds in one statement: the usual one has no statement that takes long, and so takes a connection that is
 * silent for as long as none may take for dead.
 */
async function withPatientPool<Result>({ postgres, logger }: RebuildOptions, use: (pool: Postgres['pool']) => Promise<Result>): Promise<Result> {
  const patient = createPostgres({ ...postgres.config, poolMax: 2, statementTimeoutMs: LONGEST_COMPARISON_MS }, { logger, applicationName: 'brx-sync rebuild', keyLookupsOnly: false });
  try {
    return await use(patient.pool);
  } finally {
    await patient.close();
  }
}

/**
 * The lanes are those of the live tables, so a chunk may wait for one that is worked on there, and for longer than a lock is waited for. What of it is done already is known by
 * its ids.
 */
async function patiently<Result>({ clock, signal, logger }: RebuildOptions, work: () => Promise<Result>): Promise<Result> {
  const deadline = clock.monotonic() + PATIENCE_MS;
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (clock.monotonic() >= deadline || !isPassing(error, (waiting) => logger.warn({ error: waiting }, 'the rebuild waits'))) throw error;
    }
    await clock.sleep(retryMs(failures, clock), signal);
  }
}

async function rebuild(options: RebuildOptions, schema: string, ends: Offsets): Promise<{ records: number; decided: number; scattered: string[] }> {
  const { postgres, clock, group, logger } = options;
  const shadow = createPostgres({ ...postgres.config, poolMax: 2 }, { logger, applicationName: 'brx-sync rebuild', keyLookupsOnly: true, schema });
  try {
    const chunks = createChunks(options, shadow, await readDecided(postgres.prisma, group.topic));
    const of = [...ends.values()].reduce((sum, end) => sum + end, 0);
    const reader = { kafka: options.kafka, codec: options.codec, clock, topic: group.topic, groupId: group.id, ...(options.signal !== undefined && { signal: options.signal }) };
    await readTopic(reader, ends, (record) => {
      if ((chunks.told.records + 1) % 1_000 === 0) options.onProgress?.({ step: 'rebuilding', records: chunks.told.records + 1, of });
      return chunks.take(sourceOf(group.topic, record));
    });
    await chunks.flush();
    const { records, decided } = chunks.told;
    return { records, decided, scattered: chunks.scattered() };
  } finally {
    await shadow.close();
  }
}

/** Records, gathered into chunks for the ingest role's handler. A chunk may hold several partitions: each keeps its order. */
function createChunks(options: RebuildOptions, shadow: Postgres, decided: { places: ReadonlySet<string>; events: ReadonlySet<string> }): { take(record: SourceRecord): undefined | Promise<void>; flush(): Promise<void>; readonly told: { records: number; decided: number }; scattered(): string[] } {
  const decoder = new Decoder(options.codec, MARKETPLACE_RECORDS);
  const apply: ApplyDeps = {
    postgres: shadow,
    clock: options.clock,
    consumerGroup: options.group.id,
    // What was too old when it came is left out by its place; what was in time then is not too old because it is rebuilt later.
    horizonMs: Number.MAX_SAFE_INTEGER,
    maxParkedUsers: Number.MAX_SAFE_INTEGER,
    purchase: options.purchase,
    onRetry: () => undefined,
  };
  const handle = chunkHandler(decoder, apply);
  const told = { records: 0, decided: 0 };
  const home = new Map<string, number>();
  const scattered = new Set<string>();
  let waiting: SourceRecord[] = [];

  const flush = async (): Promise<void> => {
    const records = waiting;
    waiting = [];
    const entries = await decoder.decode(records);
    const kept = entries.filter((entry) => {
      const { partition, offset } = entry.source;
      if (entry.kind === 'event') {
        const { user_id: user } = entry.event;
        if (home.get(user) === undefined) home.set(user, partition);
        else if (home.get(user) !== partition) scattered.add(user);
      }
      return !decided.places.has(`${partition}/${offset}`) && !(entry.kind === 'event' && decided.events.has(entry.event.event_id));
    });
    told.decided += records.length - kept.length;
    if (kept.length > 0) await patiently(options, () => handle(kept.map(({ source }) => source)));
  };
  return {
    told,
    flush,
    take(record) {
      told.records += 1;
      waiting.push(record);
      return waiting.length < CHUNK ? undefined : flush();
    },
    scattered: () => [...scattered],
  };
}

/** Until the group has read to `ends`, now or before a replay. */
async function waitForGroup({ kafka, clock, group, postgres, waitMs, signal, onProgress }: RebuildOptions, ends: Offsets): Promise<void> {
  const deadline = clock.monotonic() + waitMs;
  for (;;) {
    const { furthest } = await readRemembered(postgres.prisma, group.id, group.topic);
    const committed = await withAdmin(kafka, (admin) => committedOffsets(admin, group.topic, group.id));
    const behind = [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - Math.max(committed.get(partition) ?? 0, Number(furthest.get(partition) ?? 0n))), 0);
    if (behind === 0) return;
    if (clock.monotonic() >= deadline) throw new BrxError('BRX_REFUSED', `the group is ${counted(behind, 'record')} behind what was rebuilt: they cannot be compared yet`, { remedy: 'start the instances, see `brx-sync lag`, or wait longer with --wait' });
    onProgress?.({ step: 'waiting', behind });
    await clock.sleep(POLL_MS, signal);
  }
}
