import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BrxError, messageOf } from '../errors.ts';
import type * as Redrive from '../operations/redrive/index.ts';
import { systemClock } from '../platform/clock.ts';
import type { Registry } from '../platform/kafka/index.ts';
import type { LetterFilter } from '../records/index.ts';
import { assignmentOption, integerOption, rowIdArguments } from './arguments.ts';
import { withPostgres } from './connections.ts';
import type { CliContext } from './context.ts';
import { filtered, filterOf, isFiltered, type FilterOptions } from './letters.ts';
import { operator } from './operator.ts';
import { counted, formatCount } from './output.ts';

interface RepairOptions extends FilterOptions {
  reason: string;
  limit: number;
  yes?: true;
}

interface RedriveOptions extends RepairOptions {
  rate?: number;
  dryRun?: true;
  anyway?: true;
  wait: number;
  set?: { path: string; value: unknown }[];
  edit?: string;
  record?: string;
}

/** Most letters of one command, so that the answer about each fits into memory. */
const MOST = 100_000;
/** Results that are shown without --json. */
const SHOWN = 50;

/** `dlq redrive | discard`. */
export function registerDlqRepair(dlq: Command, context: CliContext): void {
  filtered(dlq.command('redrive').description('send dead letters to their topic again, with their key, headers and id').argument('[ids...]', 'ids; without any, all that the options name', rowIdArguments))
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--limit <number>', 'at most so many, oldest first', integerOption(1, MOST), 1_000)
    .option('--rate <number>', 'so many a second', integerOption(1, 100_000))
    .option('--dry-run', 'only tell what would come of each')
    .option('--anyway', 'also those that something newer has superseded, or that this version still refuses')
    .option('--wait <seconds>', 'how long to wait for the next one to show what became of it; 0 does not wait', integerOption(0, 3_600), 30)
    .option('--set <field=value>', 'correct one field of one dead letter; may be given several times', assignmentOption)
    .option('--edit <file>', 'send this value (JSON) instead; - reads standard input')
    .option('--record <name>', 'which record the value is of, where the dead letter does not say')
    .option('--yes', 'really do it')
    .addHelpText('after', '\nOnly open ones are sent, each once. Exit code 0 if all took effect or were known already, 1 if not.')
    .action((ids: bigint[], options: RedriveOptions) => redrive(context, ids, options));
  filtered(dlq.command('discard').description('give dead letters up: they are kept, and not sent again').argument('[ids...]', 'ids; without any, all that the options name', rowIdArguments))
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--limit <number>', 'at most so many, oldest first', integerOption(1, MOST), 1_000)
    .option('--yes', 'really do it')
    .action((ids: bigint[], options: RepairOptions) => discard(context, ids, options));
}

async function redrive(context: CliContext, ids: readonly bigint[], options: RedriveOptions): Promise<void> {
  const corrects = options.set !== undefined || options.edit !== undefined;
  if (!corrects && options.record !== undefined) throw new BrxError('BRX_USAGE', '--record says of which record a correction is', { remedy: 'say what is to be corrected: --set field=value or --edit FILE' });
  if (corrects && ids.length !== 1) throw new BrxError('BRX_USAGE', 'a correction is of one dead letter', { remedy: 'name it: brx-sync dlq redrive ID --set field=value' });
  const filter = chosen(ids, options);
  const dryRun = options.dryRun === true;
  const run = {
    limit: options.limit,
    dryRun,
    anyway: options.anyway === true,
    waitMs: options.wait * 1_000,
    by: { who: operator(), reason: options.reason },
    signal: context.signal,
    onProgress: ({ sent, known }: { sent: number; known: number }) => context.out.progress(`${formatCount(sent)} ${dryRun ? 'looked at' : 'sent'}, ${formatCount(known)} of them have shown what became of them`),
    ...(options.rate !== undefined && { rate: options.rate }),
  };
  const results = await withRedrive(context, async (deps, { correct, redrive: redriveMany, redriveOne }) => {
    if (!dryRun) await confirm(context, deps, filter, options, 'send again');
    if (!corrects) return redriveMany(deps, { ...run, filter });
    const { selectDeadLetters } = await import('../records/index.ts');
    const [letter] = await selectDeadLetters(deps.postgres.prisma, { ...filter, states: ['open'] }, { order: 'oldest', limit: 1 });
    if (letter === undefined) throw nothing();
    const corrected = await correct(deps, letter, { set: options.set ?? [], ...(options.edit !== undefined && { value: await readValue(context, options.edit) }), ...(options.record !== undefined && { record: options.record }) }, run.anyway);
    showChange(context, corrected);
    return redriveOne(deps, corrected.planned, run);
  });
  if (results.length === 0) context.signal.throwIfAborted(); // interrupted before there was anything to tell
  tell(context, results, options);
  context.signal.throwIfAborted();
}

function tell(context: CliContext, results: readonly Redrive.RedriveResult[], { limit }: RedriveOptions): void {
  const { out } = context;
  if (results.length === 0) throw nothing();
  const counts = new Map<string, number>();
  for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  out.json({ results, counts: Object.fromEntries(counts) });
  // What needs somebody first: of a thousand that went well nobody reads a line.
  const ordered = results.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b)));
  out.table(
    ordered.slice(0, SHOWN).map(({ id, outcome, was, deadLetter, detail }) => ({ id, was, result: outcome, detail: `${deadLetter === null ? '' : `now dead letter ${deadLetter}: `}${detail.split('\n')[0]?.slice(0, 160) ?? ''}` })),
  );
  if (ordered.length > SHOWN) out.note(`and ${formatCount(ordered.length - SHOWN)} more; --json has all of them`);
  out.line([...counts].map(([outcome, count]) => `${formatCount(count)} ${outcome}`).join(', '));
  const sent = counts.get('sent') ?? 0;
  if (sent > 0) out.note(`${counted(sent, 'is', 'are')} sent, and nothing has shown yet what became of them: is an ingest and a relay running? See brx-sync outbox list, brx-sync lag`);
  if (results.length >= limit) out.note('perhaps more wait: the limit was reached');
  if (!results.every(isWell)) context.setExitCode(1);
}

const isWell = ({ outcome }: Redrive.RedriveResult): boolean => ['ok', 'stale', 'rejected', 'duplicate', 'sent', 'would_send'].includes(outcome);

async function discard(context: CliContext, ids: readonly bigint[], options: RepairOptions): Promise<void> {
  const { out } = context;
  const filter = chosen(ids, options);
  const { discardDeadLetters, selectDeadLetters } = await import('../records/index.ts');
  const discarded = await withPostgres(context, async (postgres) => {
    await confirm(context, { postgres }, filter, options, 'give up');
    const gone: bigint[] = [];
    for (let after: bigint | undefined; gone.length < options.limit && !context.signal.aborted; ) {
      const letters = await selectDeadLetters(postgres.prisma, { ...filter, states: ['open'] }, { order: 'oldest', limit: Math.min(500, options.limit - gone.length), ...(after !== undefined && { after }) });
      if (letters.length === 0) break;
      after = letters.at(-1)?.id;
      gone.push(...(await discardDeadLetters(postgres, letters.map(({ id }) => id), { who: operator(), reason: options.reason })));
      out.progress(`${formatCount(gone.length)} given up`);
    }
    return gone;
  });
  out.json({ discarded });
  out.line(`${formatCount(discarded.length)} given up (brx-sync dlq list --state discarded)`);
  context.signal.throwIfAborted();
}

function chosen(ids: readonly bigint[], options: FilterOptions): LetterFilter {
  const filter = filterOf(options, ids);
  if (!isFiltered(filter)) throw new BrxError('BRX_USAGE', 'it must be said which dead letters', { remedy: 'give ids, or options like --cause, --user, --since; `brx-sync dlq list` takes the same' });
  return filter;
}

/** Tells what would be done, and refuses it, unless the operator has said --yes. */
async function confirm({ out }: CliContext, { postgres }: Pick<Redrive.RedriveDeps, 'postgres'>, filter: LetterFilter, { yes, limit }: RepairOptions, verb: string): Promise<void> {
  const { countDeadLetters } = await import('../records/index.ts');
  const counts = await countDeadLetters(postgres.prisma, { ...filter, states: ['open'] });
  const all = counts.reduce((sum, { letters }) => sum + letters, 0);
  if (all === 0) throw nothing();
  const many = `${formatCount(Math.min(all, limit))}${all > limit ? ` of ${formatCount(all)}` : ''} open ${all === 1 ? 'dead letter' : 'dead letters'} (${counts.map(({ reason, letters }) => `${formatCount(letters)} ${reason}`).join(', ')})`;
  if (yes !== true) throw new BrxError('BRX_REFUSED', `nothing was done: this would ${verb} ${many}`, { remedy: 'add --yes if that is what you want; redrive has --dry-run' });
  out.note(many);
}

const nothing = (): BrxError => new BrxError('BRX_REFUSED', 'no open dead letter is like that', { remedy: '`brx-sync dlq list` shows which there are, and their state' });

function showChange({ out }: CliContext, { record, before, after, planned }: Redrive.Corrected): void {
  const [was, is] = [(before ?? {}) as Record<string, unknown>, after as Record<string, unknown>];
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const [from, to] = [JSON.stringify(was[name]), JSON.stringify(is[name])];
    if (from !== to) out.note(`${record}.${name}: ${from ?? '(unreadable)'} → ${to ?? '(none)'}`);
  }
  if (planned.letter.eventId !== null && planned.eventId !== planned.letter.eventId) out.note(`the ledger has refused event ${planned.letter.eventId}, so the corrected one has the id that follows from it`);
}

async function readValue(context: CliContext, file: string): Promise<unknown> {
  const text = await (file === '-' ? piped(context) : readFile(file, 'utf8')).catch((error: unknown) => {
    throw new BrxError('BRX_BAD_FILE', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new BrxError('BRX_BAD_FILE', `${file} is not JSON: ${messageOf(error)}`, { cause: error, remedy: '`brx-sync dlq show ID --value` prints a value to start from' });
  }
}

async function piped(context: CliContext): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of context.terminal().stdin) pieces.push(Buffer.from(piece as Buffer | string));
  return Buffer.concat(pieces).toString();
}

function withRedrive<Result>(context: CliContext, use: (deps: Redrive.RedriveDeps & { readonly registry: Registry }, operations: typeof Redrive) => Promise<Result>): Promise<Result> {
  return withPostgres(context, async (postgres) => {
    const config = context.config();
    const [operations, { createCodec, createRegistry }] = [await import('../operations/redrive/index.ts'), await import('../platform/kafka/index.ts')];
    const registry = createRegistry(config.registry);
    return use({ postgres, registry, codec: createCodec(registry), clock: systemClock, topicPrefix: config.kafka.topicPrefix, horizonMs: config.ingest.horizonMs }, operations);
  });
}
