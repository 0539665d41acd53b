import { redriveDeadLetters, selectDeadLetters, type By, type DeadLetterReason, type LetterFilter } from '../../records/index.ts';
import { readOutcomes, type Outcome } from './evidence.sql.ts';
import { planRedrive, type Planned, type RedriveDeps } from './plan.ts';
import type { Verdict } from './judge.ts';

/**
 * What became of a dead letter that was to be sent again.
 *
 *   ok, stale, rejected, parked, dead    the ledger, the parked events or a new dead letter say so
 *   sent                                 it is on its way, and nothing has shown it yet
 *   duplicate, too_old, superseded, unfit   it was not sent (judge.ts)
 *   handled                              somebody else was quicker
 */
export type RedriveOutcome = 'ok' | 'stale' | 'rejected' | 'parked' | 'dead' | 'sent' | 'handled' | 'would_send' | Exclude<Verdict, 'send'>;

export interface RedriveResult {
  id: bigint;
  outcome: RedriveOutcome;
  detail: string;
  eventId: string | null;
  userId: string | null;
  /** Why it was dead, and the dead letter it has become again. */
  was: DeadLetterReason;
  deadLetter: bigint | null;
}

export interface RunOptions {
  /** Those that are open of these. */
  readonly filter: LetterFilter;
  /** Most that are sent. */
  readonly limit: number;
  /** Most that are looked at, and behind which one it goes on: for whoever does it piece by piece. */
  readonly look?: number;
  readonly after?: bigint;
  /** Records a second; as fast as the database when left out. */
  readonly rate?: number;
  readonly dryRun: boolean;
  readonly anyway: boolean;
  /** How long to wait for the next one that shows what became of it. */
  readonly waitMs: number;
  readonly by: By;
  readonly signal: AbortSignal;
  onProgress(text: { readonly sent: number; readonly known: number }): void;
}

/** Letters of one transaction. */
const BATCH = 500;
const LOOK_AGAIN_MS = 200;

/** Sends dead letters again, oldest first, page by page, and waits to see what becomes of them. Interrupted, it sends no more and waits no longer. */
export async function redrive(deps: RedriveDeps, options: RunOptions): Promise<RedriveResult[]> {
  const { clock, postgres } = deps;
  const { filter, limit, look = Number.POSITIVE_INFINITY, rate, dryRun, anyway, by, signal } = options;
  const results = new Map<bigint, RedriveResult>();
  const seen = new Set<string>();
  const batch = rate === undefined ? BATCH : Math.min(BATCH, Math.max(1, rate));
  let sent = 0;
  for (let { after } = options; sent < limit && results.size < look && !signal.aborted; ) {
    const began = clock.monotonic();
    const letters = await selectDeadLetters(postgres.prisma, { ...filter, states: ['open'] }, { order: 'oldest', limit: Math.min(batch, limit - sent, look - results.size), ...(after !== undefined && { after }) });
    if (letters.length === 0) break;
    after = letters.at(-1)?.id;
    const planned = await planRedrive(deps, letters.map((letter) => ({ letter })), { seen, anyway });
    const went = await send(deps, planned, { dryRun, by }, results);
    sent += went;
    options.onProgress({ sent, known: 0 });
    const pause = rate === undefined ? 0 : (went / rate) * 1_000 - (clock.monotonic() - began);
    if (pause > 0 && sent < limit) await clock.sleep(pause, signal).catch(() => undefined); // interrupted: the loop ends
  }
  if (!dryRun) await watch(deps, results, options);
  return [...results.values()];
}

/** One letter as it was planned, perhaps corrected. */
export async function redriveOne(deps: RedriveDeps, planned: Planned, options: Pick<RunOptions, 'dryRun' | 'by' | 'waitMs' | 'signal' | 'onProgress'>): Promise<RedriveResult[]> {
  const results = new Map<bigint, RedriveResult>();
  await send(deps, [planned], options, results);
  if (!options.dryRun) await watch(deps, results, options);
  return [...results.values()];
}

/** What became of those that were sent again, of these, as far as anything shows it by now. */
export async function outcomesOf({ postgres }: Pick<RedriveDeps, 'postgres'>, ids: readonly bigint[]): Promise<RedriveResult[]> {
  const letters = await selectDeadLetters(postgres.prisma, { ids, states: ['redriven'] }, { order: 'oldest', limit: ids.length });
  const results = new Map(letters.map(({ id, reason, eventId, sentEventId, userId }): [bigint, RedriveResult] => [id, { id, outcome: 'sent', detail: '', eventId: sentEventId ?? eventId, userId, was: reason, deadLetter: null }]));
  for (const found of await readOutcomes(postgres.prisma, [...results.values()])) Object.assign(results.get(found.id) ?? {}, told(found));
  return [...results.values()];
}

async function send({ postgres }: RedriveDeps, planned: readonly Planned[], { dryRun, by }: Pick<RunOptions, 'dryRun' | 'by'>, results: Map<bigint, RedriveResult>): Promise<number> {
  const going = planned.filter(({ sends }) => sends);
  const went = dryRun || going.length === 0 ? new Set<bigint>() : await redriveDeadLetters(postgres, going, by);
  for (const { letter, verdict, detail, eventId, userId, sends } of planned) {
    const outcome = ((): RedriveOutcome => {
      if (!sends) return verdict === 'send' ? 'handled' : verdict;
      if (dryRun) return 'would_send';
      return went.has(letter.id) ? 'sent' : 'handled';
    })();
    results.set(letter.id, { id: letter.id, outcome, detail: outcome === 'handled' ? 'somebody else has sent it again or given it up meanwhile' : detail, eventId, userId, was: letter.reason, deadLetter: null });
  }
  return dryRun ? going.length : went.size;
}

/** Until each has shown what became of it, or none has for `waitMs`. */
async function watch({ clock, postgres }: RedriveDeps, results: Map<bigint, RedriveResult>, { waitMs, signal, onProgress }: Pick<RunOptions, 'waitMs' | 'signal' | 'onProgress'>): Promise<void> {
  const open = new Map([...results].filter(([, { outcome }]) => outcome === 'sent'));
  const all = open.size;
  for (let last = clock.monotonic(); open.size > 0 && !signal.aborted; ) {
    for (const some of pages([...open.values()])) {
      for (const found of await readOutcomes(postgres.prisma, some)) {
        const result = open.get(found.id);
        if (result === undefined) continue;
        Object.assign(result, told(found));
        open.delete(found.id);
        last = clock.monotonic();
      }
    }
    onProgress({ sent: all, known: all - open.size });
    if (open.size === 0 || clock.monotonic() - last >= waitMs) return;
    await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => undefined); // interrupted: the loop ends
  }
}

function told({ outcome, parked, deadId, deadReason, deadDetail }: Outcome): Pick<RedriveResult, 'outcome' | 'detail' | 'deadLetter'> {
  if (deadId !== null) return { outcome: 'dead', detail: `${deadReason ?? ''}: ${deadDetail ?? ''}`, deadLetter: deadId };
  if (parked) return { outcome: 'parked', detail: 'it waits with its parked user', deadLetter: null };
  return { outcome: outcome === 'a' ? 'ok' : outcome === 's' ? 'stale' : outcome === 'r' ? 'rejected' : 'dead', detail: '', deadLetter: null };
}

function* pages<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += BATCH) yield all.slice(from, from + BATCH);
}
