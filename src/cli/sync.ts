import { type Command, Option } from 'commander';
import type { Cause, Finding, JobRow, Mode, ParkedChunk } from '../bulk-sync/index.ts';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import type { Postgres } from '../platform/postgres/index.ts';
import { integerOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, formatTime, printable } from './output.ts';

const MODES = ['report', 'adopt-remote', 'push-local'] as const satisfies readonly Mode[];
const LOOK_MS = 500;
/** A chunk takes seconds. */
const LONG_MS = 60_000;
const SHOWN = 10;
const DEFAULT_LIMIT = 20;

interface RunOptions {
  all?: true;
  mode: Mode;
  dryRun?: true;
  confirmShrink?: true;
  wait: boolean;
  reason: string;
}

/** `brx-sync sync run | list | show | cancel`; `sync USER…` is `sync run USER…`. */
export function registerSync(program: Command, context: CliContext): void {
  const sync = program
    .command('sync')
    .description('a seller’s whole stock on CardTrader: compare it with what is here, import it, or push what is here')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync sync 0197a3c2-...', 'what differs, and why; changes nothing'],
        ['brx-sync sync 0197a3c2-... --mode adopt-remote --dry-run', 'what an import would do'],
        ['brx-sync sync 0197a3c2-... --mode adopt-remote', 'import the seller’s stock from CardTrader'],
        ['brx-sync sync --all --no-wait', 'have every active seller reported on'],
        ['brx-sync sync list', 'the newest, and those under way'],
        ['brx-sync sync show JOB', 'the report of one'],
      ])}\n\nA process with the role dispatcher does it, and one with the role ingest applies it; the command only asks and watches, and may be interrupted.`,
    );
  sync
    .command('run', { isDefault: true })
    .description('ask for bulk syncs and watch them to their end')
    .argument('[user...]', 'the sellers’ ids')
    .option('--all', 'every active seller')
    .addOption(new Option('--mode <mode>', 'report: changes nothing; adopt-remote: what CardTrader has becomes the stock here; push-local: what is here goes there').choices(MODES).default('report'))
    .option('--dry-run', 'say what would come of it, and write no stock')
    .option('--confirm-shrink', 'believe an export with a tenth fewer products than there were, or less')
    .option('--no-wait', 'ask, and do not watch')
    .option('--reason <text>', 'why, for the record', 'bulk sync')
    .addHelpText('after', '\nExit code 0 if all came to their end and nothing was parked, 1 if not. What is parked and tried again later is not waited for.')
    .action((users: string[], options: RunOptions) => run(context, users, options));
  sync
    .command('list')
    .description('list bulk syncs, newest first')
    .argument('[user]', 'the seller’s id', uuidArgument)
    .option('--limit <n>', 'at most so many', integerOption(1, 10_000), DEFAULT_LIMIT)
    .action((user: string | undefined, options: { limit: number }) => list(context, user, options.limit));
  sync
    .command('show')
    .description('one bulk sync: how far it is, what it did, what it found and why')
    .argument('<job>', 'its id', uuidArgument)
    .option('--limit <n>', 'at most so many findings', integerOption(1, 10_000), DEFAULT_LIMIT)
    .action((job: string, options: { limit: number }) => show(context, job, options.limit));
  sync
    .command('cancel')
    .description('call a bulk sync off; what is applied by then stays')
    .argument('<job>', 'its id', uuidArgument)
    .requiredOption('--reason <text>', 'why, for the record')
    .action((job: string, options: { reason: string }) => cancel(context, job, options.reason));
}

async function run(context: CliContext, given: readonly string[], options: RunOptions): Promise<void> {
  const { out } = context;
  if ((options.all === true) === given.length > 0) throw new BrxError('BRX_USAGE', 'sync takes either sellers or --all', { remedy: '`brx-sync users list` shows the sellers' });
  const { requestSync } = await import('../bulk-sync/index.ts');
  const ended = await withPostgres(context, async (postgres) => {
    const { mode, reason } = options;
    const users = options.all === true ? await activeSellers(postgres) : [...new Set(given.map(uuidArgument))];
    const jobIds: string[] = [];
    for (const userId of users) {
      try {
        jobIds.push(await requestSync(postgres, userId, { mode, dryRun: options.dryRun === true, confirmShrink: options.confirmShrink === true, who: operator(), reason }));
      } catch (error) {
        // Of several one that is refused keeps none from being asked for, or from being watched.
        if ((users.length === 1 && options.all !== true) || !(error instanceof BrxError) || error.code !== 'BRX_REFUSED') throw error;
        out.note(`${userId} is left out: ${error.message}`);
        if (options.all !== true) context.setExitCode(1);
      }
    }
    return options.wait ? watch(context, postgres, jobIds) : (await import('../bulk-sync/index.ts')).selectJobs(postgres.prisma, jobIds);
  });
  if (!options.wait) {
    out.json(ended);
    for (const { jobId, userId } of ended) out.line(`${userId}: asked for; \`brx-sync sync show ${jobId}\` tells how far it is`);
    return;
  }
  for (const job of ended) await report(context, job, SHOWN);
  if (ended.some(({ state, parked }) => state !== 'DONE' || parked > 0)) context.setExitCode(1);
}

async function activeSellers({ prisma }: Postgres): Promise<string[]> {
  const { selectSellers } = await import('../marketplace/index.ts');
  return (await selectSellers(prisma)).filter(({ status }) => status === 'active').map(({ userId }) => userId);
}

/** Nothing is left of it but parked chunks that are tried again later. */
const isRetrying = ({ nextTryAt, chunks, done, parked }: JobRow): boolean => nextTryAt !== null && done + parked === chunks;

/** Until all are over, or only try again what was parked; what is interrupted here goes on there. */
async function watch(context: CliContext, { prisma }: Postgres, jobIds: readonly string[]): Promise<JobRow[]> {
  const { selectJobs } = await import('../bulk-sync/index.ts');
  const since = systemClock.monotonic();
  let told = false;
  for (;;) {
    const jobs = await selectJobs(prisma, jobIds);
    if (jobs.every((job) => job.endedAt !== null || isRetrying(job))) return jobs;
    context.out.progress(progressOf(jobs, systemClock.now()));
    if (!told && systemClock.monotonic() - since > 15_000 && jobs.every(({ state, leased }) => state === 'REQUESTED' && !leased)) {
      told = true;
      context.out.note('nobody has begun yet: a process with the role dispatcher must run (`brx-sync start`)');
    }
    await systemClock.sleep(LOOK_MS, context.signal);
  }
}

/** `2 of 3 sellers · chunks 12 of 40, 1 parked · 2,300 products/s · 12 s left`. */
export function progressOf(jobs: readonly JobRow[], now: number): string {
  const sum = (of: (job: JobRow) => number): number => jobs.reduce((total, job) => total + of(job), 0);
  const [chunks, over, parked] = [sum((job) => job.chunks ?? 0), sum((job) => job.done + job.parked), sum((job) => job.parked)];
  const exporting = jobs.filter(({ state }) => state === 'EXPORTING').length;
  const waiting = sum((job) => job.waiting.length);
  const next = jobs.length === 1 && jobs.every(isRetrying) ? (jobs[0]?.nextTryAt ?? null) : null;
  const begun = Math.min(...jobs.flatMap(({ applyingAt }) => (applyingAt === null ? [] : [applyingAt.getTime()])));
  const products = sum(({ created, adopted, linked, pushed, drifted, left, same }) => created + adopted + linked + pushed + drifted + left + same);
  const seconds = (now - begun) / 1_000;
  // Nobody knows how much those will have that are not exported yet.
  const allKnown = jobs.every((job) => job.chunks !== null || job.endedAt !== null);
  return [
    ...(jobs.length > 1 ? [`${formatCount(jobs.filter(({ endedAt }) => endedAt !== null).length)} of ${counted(jobs.length, 'seller')}`] : []),
    ...(exporting > 0 ? [`${jobs.length > 1 ? `${formatCount(exporting)} ` : ''}reading CardTrader’s export`] : []),
    ...(chunks > 0 ? [`chunks ${formatCount(over)} of ${formatCount(chunks)}${parked > 0 ? `, ${formatCount(parked)} parked` : ''}`] : []),
    ...(waiting > 0 ? [`${formatCount(waiting)} ${waiting === 1 ? 'waits' : 'wait'} for the ${jobs.find(({ waitsFor }) => waitsFor !== null)?.waitsFor}`] : []),
    ...(next !== null ? [`parked ones are tried again in ${formatSeconds(Math.max(0, (next.getTime() - now) / 1_000))}`] : over > 0 && seconds > 0 ? [`${counted(Math.round(products / seconds), 'product')}/s`, ...(allKnown ? [`${formatSeconds(((chunks - over) * seconds) / over)} left`] : [])] : []),
  ].join(' · ') || 'waiting for a dispatcher';
}

async function report(context: CliContext, job: JobRow, limit: number): Promise<void> {
  const { out } = context;
  const { CAUSES, countFindings, PROBLEMS, REMEDIES, selectFindings, selectParkedChunks, WAITS } = await import('../bulk-sync/index.ts');
  const { totals, findings, parked } = await withPostgres(context, async ({ prisma }) => ({
    totals: await countFindings(prisma, job.jobId),
    findings: await selectFindings(prisma, job.jobId, limit),
    parked: await selectParkedChunks(prisma, job.jobId),
  }));
  out.json({ ...job, causes: totals, findings, parkedChunks: parked });
  out.line(out.paint('bold', `${job.userId}: ${job.mode}${job.dryRun ? ', a dry run' : ''}, ${job.state.toLowerCase()}`));
  out.line(`  job ${job.jobId}, asked for by ${printable(job.askedBy)}${job.endedAt === null ? '' : `, took ${formatSeconds((job.endedAt.getTime() - job.askedAt.getTime()) / 1_000)}`}`);
  if (job.problem !== null) {
    out.line(`  ${out.paint('yellow', PROBLEMS[job.problem])}${job.said === null ? '' : `: ${printable(job.said)}`}`);
    out.line(`  what to do: ${REMEDIES[job.problem]}`);
  }
  if (job.chunks !== null) {
    out.line(`  ${counted(job.products ?? 0, 'product')} in ${counted(job.chunks, 'chunk')}: ${formatCount(job.done)} done, ${formatCount(job.parked)} parked${(job.unread ?? 0) > 0 ? `; ${counted(job.unread ?? 0, 'entry', 'entries')} could not be read` : ''}`);
    out.line(`  created ${formatCount(job.created)}, adopted ${formatCount(job.adopted)}, linked ${formatCount(job.linked)}, pushed ${formatCount(job.pushed)}, drifted ${formatCount(job.drifted)}, left alone ${formatCount(job.left)}, the same ${formatCount(job.same)}, unmapped ${formatCount(job.unmapped)}`);
  }
  if (job.waitsFor !== null && job.waitsSince !== null) {
    const chunks = job.waiting.length === 1 ? `chunk ${job.waiting[0]} waits` : `chunks ${job.waiting.join(', ')} wait`;
    out.line(`  ${out.paint('yellow', `${chunks} for ${WAITS[job.waitsFor]} since ${formatTime(job.waitsSince)} UTC`)}: ${printable(job.waitsSaid ?? '')}`);
  } else if (job.sentAt !== null && systemClock.now() - job.sentAt.getTime() > LONG_MS) {
    out.line(`  chunks are on their way since ${formatTime(job.sentAt)} UTC: a process with the role relay publishes them, one with the role ingest applies them; \`brx-sync lag\` tells how far that is`);
  }
  for (const chunk of parked) out.line(`  ${parkedWords(chunk)}`);
  if (isRetrying(job)) out.line('  the next `brx-sync sync` of the seller takes its place; `brx-sync sync cancel` ends it');
  for (const { kind, cause, count } of totals) out.line(`  ${formatCount(count)} ${kind}: ${CAUSES[cause]}`);
  for (const finding of findings) out.line(`    ${findingWords(finding)}`);
  if (findings.length === limit) out.note(`perhaps more: brx-sync sync show ${job.jobId} --limit ${limit * 10}`);
}

const parkedWords = ({ chunk, products, reason, retries, nextTryAt }: ParkedChunk): string => {
  const made = retries === 0 ? '' : `tried again ${retries === 1 ? 'once' : `${retries} times`}, `;
  return `chunk ${chunk} (${counted(products, 'product')}) is parked; ${made}${nextTryAt === null ? 'not tried again by itself' : `next try at ${formatTime(nextTryAt)} UTC`}: ${printable(reason)}`;
};

const findingWords = ({ kind, cause, productId, itemId, ours, theirs, name }: Finding & { cause: Cause }): string =>
  [
    `${kind} (${cause})`,
    ...(productId === null ? [] : [`product ${productId}${name === null ? '' : ` ${printable(name)}`}`]),
    ...(itemId === null ? [] : [`item ${itemId}`]),
    ...(theirs === null ? [] : [`${ours ?? 'none'} here, ${theirs} on CardTrader`]),
  ].join(', ');

async function list(context: CliContext, user: string | undefined, limit: number): Promise<void> {
  const { out } = context;
  const { selectNewestJobs } = await import('../bulk-sync/index.ts');
  const jobs = await withPostgres(context, ({ prisma }) => selectNewestJobs(prisma, user ?? null, limit));
  out.json(jobs);
  if (jobs.length === 0) return out.line('there was none yet');
  out.table(
    jobs.map((job) => ({ job: job.jobId, user: job.userId, mode: `${job.mode}${job.dryRun ? ' (dry)' : ''}`, state: `${job.state.toLowerCase()}${job.problem !== null ? ` (${job.problem})` : job.waitsFor !== null ? ` (waits: ${job.waitsFor})` : ''}`, asked: formatTime(job.askedAt), chunks: job.chunks === null ? '' : `${job.done + job.parked}/${job.chunks}`, parked: job.parked === 0 ? '' : job.parked, drifted: job.drifted === 0 ? '' : job.drifted })),
    [{ key: 'job' }, { key: 'user' }, { key: 'mode' }, { key: 'state' }, { key: 'asked', title: 'asked (UTC)' }, { key: 'chunks', align: 'right' }, { key: 'parked', align: 'right' }, { key: 'drifted', align: 'right' }],
  );
}

async function show(context: CliContext, jobId: string, limit: number): Promise<void> {
  const { selectJobs } = await import('../bulk-sync/index.ts');
  const [job] = await withPostgres(context, ({ prisma }) => selectJobs(prisma, [jobId]));
  if (job === undefined) throw new BrxError('BRX_REFUSED', `there is no bulk sync ${jobId}`, { remedy: '`brx-sync sync list` shows which there are' });
  if (job.endedAt === null) context.out.note(progressOf([job], systemClock.now()));
  await report(context, job, limit);
}

async function cancel(context: CliContext, jobId: string, reason: string): Promise<void> {
  const { out } = context;
  const { cancelSync } = await import('../bulk-sync/index.ts');
  await withPostgres(context, (postgres) => cancelSync(postgres, jobId, { who: operator(), reason }));
  out.json({ jobId, cancelled: true });
  out.line(`bulk sync ${jobId} is called off`);
}
