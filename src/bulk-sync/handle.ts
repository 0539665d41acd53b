import type { Catalogue, Mapping } from '../catalogue/index.ts';
import type { InventorySnapshotChunk } from '../contract/index.ts';
import { BrxError, messageOf } from '../errors.ts';
import type { RemoteProduct } from '../marketplace/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { SourceRecord } from '../platform/consumer/index.ts';
import { DatabaseFailure, inTransaction, lockUsers, storable, toBrxError, type Postgres } from '../platform/postgres/index.ts';
import { oneAtATime } from '../platform/together.ts';
import { buryDeadLetters, type DeadEntry, type DeadLetterReason, type Decoder, type EventEntry } from '../records/index.ts';
import { applyChunk, chunkKey, type AppliedChunk, type ApplyContext, type PreparedChunk } from './apply.ts';
import { noteWaiting, parkChunk, selectSpooled } from './chunks.sql.ts';
import type { Counts } from './job.ts';

export interface SnapshotDeps extends Pick<ApplyContext, 'encoder' | 'inventoryLevels' | 'settleMs'> {
  readonly postgres: Postgres;
  readonly clock: Clock;
  /** Undefined: blueprints stay unmapped. */
  readonly catalogue: Pick<Catalogue, 'lookup'> | undefined;
  readonly consumerGroup: string;
  /** How long a chunk that was refused waits for each of its further tries, seconds. */
  readonly pauses: readonly number[];
  readonly onRetry: (failure: DatabaseFailure) => void;
}

/** What became of a chunk's record. `over`: applied before, or its job is over. */
export type ChunkOutcome = 'applied' | 'over' | 'parked' | 'dead';

/** What one call of the handler has come to. */
export interface SnapshotResult {
  readonly outcomes: readonly ChunkOutcome[];
  readonly counts: readonly Counts[];
  readonly parked: readonly { readonly jobId: string; readonly userId: string; readonly chunk: number; readonly reason: string }[];
  readonly deadLetters: readonly DeadLetterReason[];
  readonly enqueued: number;
  readonly operations: number;
}

export const NOTHING: SnapshotResult = { outcomes: [], counts: [], parked: [], deadLetters: [], enqueued: 0, operations: 0 };

/** Chunks of one user at work at once. */
export const CHUNKS_A_USER = 3;
/** Tries of a chunk the database refuses: what refuses it may be somebody else's doing, and pass. */
const TRIES = 3;
const FIRST_AGAIN_MS = 100;
/** Characters kept of what an error says. */
const MOST_SAID = 500;

/**
 * Records of `brx.inventory-snapshots`. Up to three chunks of a user are under way at once, each in a transaction of its own: they are decoded and looked up
 * side by side, and take the lane one after the other, as whoever writes a user's rows does. So one transaction at a time is enough for all
 * users of a process, and however many sellers sync, they take one connection here.
 *
 * A chunk that the database refuses is tried again, then parked with the reason, and sent again later a few times; the others go on. What is away is waited for.
 */
export function snapshotHandler(decoder: Decoder<'InventorySnapshotChunk'>, deps: SnapshotDeps): (records: readonly SourceRecord[]) => Promise<SnapshotResult> {
  const one = oneAtATime();
  return async (records) => {
    const entries = await decoder.decode(records);
    await deps.encoder.prepare();
    const dead = entries.filter((entry): entry is DeadEntry => entry.kind === 'dead');
    const byUser = new Map<string, InventorySnapshotChunk[]>();
    for (const { event } of entries.filter((entry): entry is EventEntry<'InventorySnapshotChunk'> => entry.kind === 'event')) byUser.set(event.user_id, [...(byUser.get(event.user_id) ?? []), event]);
    const handled = await Promise.all([...byUser.values()].map((chunks) => some(CHUNKS_A_USER, chunks, (record) => applyOrPark(deps, one, record))));
    // In a transaction of its own: no user is concerned by them.
    if (dead.length > 0) await one(() => inTransaction(deps.postgres, (tx) => buryDeadLetters(tx, dead, deps.consumerGroup), { onRetry: deps.onRetry })).catch(passOn);
    return together(handled.flat(), dead.map(({ reason }) => reason));
  };
}

type Handled = Pick<SnapshotResult, 'counts' | 'parked' | 'enqueued' | 'operations'> & { readonly outcome: ChunkOutcome };

async function applyOrPark(deps: SnapshotDeps, one: <T>(work: () => Promise<T>) => Promise<T>, record: InventorySnapshotChunk): Promise<Handled> {
  const { postgres, clock, encoder, inventoryLevels, settleMs, pauses, onRetry } = deps;
  const nothing = { counts: [], parked: [], enqueued: 0, operations: 0 };
  const prepared = await one(() => selectSpooled(postgres.prisma, chunkKey(record))).then((spooled) => prepare(deps, one, record, spooled), passOn);
  if (prepared === undefined) return { ...nothing, outcome: 'over' };
  for (let tries = 1; ; tries += 1) {
    const applied = await one(() => inTransaction(postgres, (tx) => applyChunk(tx, prepared, { encoder, inventoryLevels, settleMs, now: clock.now() }), { onRetry })).catch(refusal);
    if (applied === undefined) return { ...nothing, outcome: 'over' };
    if (!(applied instanceof DatabaseFailure)) return { ...nothing, ...summary(applied), outcome: 'applied' };
    if (tries < TRIES) {
      await clock.sleep(FIRST_AGAIN_MS * 2 ** tries * (0.5 + clock.random() / 2));
      continue;
    }
    const reason = storable(`${applied.kind}: ${applied.message}`, MOST_SAID);
    const parked = await one(() =>
      inTransaction(
        postgres,
        async (tx) => {
          await lockUsers(tx, [record.user_id]);
          return parkChunk(tx, chunkKey(record), { tries, reason, pauses });
        },
        { onRetry },
      ),
    ).catch(passOn);
    return parked ? { ...nothing, parked: [{ jobId: record.job_id, userId: record.user_id, chunk: record.chunk, reason }], outcome: 'parked' } : { ...nothing, outcome: 'over' };
  }
}

const summary = ({ counts, enqueued, operations }: AppliedChunk): Pick<Handled, 'counts' | 'enqueued' | 'operations'> => ({ counts: [counts], enqueued, operations });

/** Prints are looked up before the transaction: a catalogue that is slow or away holds no lane. That it is waited for is kept with the chunk, for whoever asks why nothing happens. */
async function prepare({ postgres, catalogue, onRetry }: SnapshotDeps, one: <T>(work: () => Promise<T>) => Promise<T>, record: InventorySnapshotChunk, spooled: string | undefined): Promise<PreparedChunk | undefined> {
  if (spooled === undefined) return undefined;
  const products = JSON.parse(spooled) as RemoteProduct[];
  const prints: ReadonlyMap<number, Mapping> | undefined = await catalogue?.lookup(new Set(record.products.map((product) => product.blueprint_id))).catch(async (error: unknown) => {
    const waiting = asWaiting(error);
    if (waiting === undefined) throw error;
    await one(() => inTransaction(postgres, (tx) => noteWaiting(tx, chunkKey(record), { waitsFor: 'catalogue', said: storable(waiting.message, MOST_SAID) }), { onRetry })).catch(passOn);
    throw waiting;
  });
  return { record, exported: new Map(products.map((product) => [product.id, product])), prints };
}

/** What is waited for. A catalogue that refuses (a password that was changed, a table that is being made anew) too: the events of everybody are read by the process that would end. */
function asWaiting(error: unknown): BrxError | undefined {
  if (!(error instanceof BrxError)) return undefined;
  return error.code === 'BRX_MYSQL_REFUSED' ? new BrxError('BRX_MYSQL_UNAVAILABLE', error.message, { cause: error }) : error.retryable ? error : undefined;
}

/** What this chunk alone may be guilty of, as a value; everything else is thrown. */
function refusal(error: unknown): DatabaseFailure {
  if (error instanceof DatabaseFailure && (error.kind === 'data' || error.kind === 'duplicate' || error.kind === 'timeout')) return error;
  return passOn(error);
}

function passOn(error: unknown): never {
  if (error instanceof DatabaseFailure) throw toBrxError(error);
  throw error instanceof Error ? error : new BrxError('BRX_INTERNAL', messageOf(error));
}

function together(handled: readonly Handled[], deadLetters: readonly DeadLetterReason[]): SnapshotResult {
  return {
    outcomes: [...handled.map(({ outcome }) => outcome), ...deadLetters.map(() => 'dead' as const)],
    counts: handled.flatMap(({ counts }) => counts),
    parked: handled.flatMap(({ parked }) => parked),
    deadLetters,
    enqueued: handled.reduce((sum, { enqueued }) => sum + enqueued, 0) + deadLetters.length,
    operations: handled.reduce((sum, { operations }) => sum + operations, 0),
  };
}

/** Does it for all of them, so many at once. What one throws is thrown once those under way have ended. */
async function some<In, Out>(atOnce: number, items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const answers: Out[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) answers[index] = await work(item);
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
  return answers;
}
