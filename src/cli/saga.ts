import type { Command } from 'commander';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { storedTrace } from '../platform/tracing/index.ts';
import type * as Purchase from '../purchase/index.ts';
import { integerOption, listOption, uuidArgument } from './arguments.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds, formatTime } from './output.ts';

const STATES = ['reserved', 'calling', 'reconciling', 'compensating', 'needs_operator', 'confirmed', 'rejected', 'compensated'] as const;
/** Most sales of one bulk command. */
const MOST = 1_000;

interface FilterOptions {
  state?: (typeof STATES)[number][];
  user?: string;
  olderThan?: number;
  limit: number;
}

interface VerbOptions extends FilterOptions {
  reason: string;
  yes?: true;
  applied?: true;
  notApplied?: true;
  operation?: string[];
}

/** `brx-sync saga list | show | retry | compensate | confirm | resolve`. */
export function registerSaga(program: Command, context: CliContext): void {
  const saga = program
    .command('saga')
    .description('sales: how they stand, why, and what an operator can do about them')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync saga list', 'sales that have not ended, oldest first'],
        ['brx-sync saga show 0197a3c2-...', 'one sale’s story: steps, calls, answers, durations'],
        ['brx-sync saga retry 0197a3c2-... --reason "CardTrader is back"', 'do now what it waits for'],
        ['brx-sync saga resolve 0197a3c2-... --applied --reason "seen on the site"', 'say what became of a call whose answer was lost'],
        ['brx-sync saga compensate --state confirmed --user 0197a3c2-... --reason "account closed" --yes', 'undo many'],
      ])}\n\nWhat is done here is written down with who and why; \`saga show\` tells it.`,
    );
  filtered(saga.command('list').description('list sales; those that have not ended unless told otherwise')).action((options: FilterOptions) => list(context, options));
  saga
    .command('show')
    .description('the story of one sale, in words')
    .argument('<purchase>', 'purchase id', uuidArgument)
    .option('--user <user>', 'the seller, if several have a purchase of this id', uuidArgument)
    .action((purchase: string, options: { user?: string }) => show(context, purchase, options.user));

  const verb = (name: string, description: string): Command => filtered(saga.command(name).description(description).argument('[purchase]', 'purchase id; without one, every sale that the options name', uuidArgument)).requiredOption('--reason <text>', 'why, for the record').option('--yes', 'really do it to all of them');
  verb('retry', 'do now what a sale waits for: operations are carried out, or looked into, again').action((purchase: string | undefined, options: VerbOptions) => operate(context, purchase, { verb: 'retry' }, options));
  verb('compensate', 'undo a sale on both sides, a confirmed one too').action((purchase: string | undefined, options: VerbOptions) => operate(context, purchase, { verb: 'compensate' }, options));
  verb('confirm', 'let a sale stand: what is open has been done on CardTrader, by us or by hand').action((purchase: string | undefined, options: VerbOptions) => operate(context, purchase, { verb: 'confirm' }, options));
  verb('resolve', 'say what became of operations that cannot be told; the sale goes on from there')
    .option('--applied', 'they took effect on CardTrader')
    .option('--not-applied', 'they did not')
    .option('--operation <id>', 'only this operation; may be given several times', (id: string, ids: string[]) => [...ids, uuidArgument(id)], [])
    .action((purchase: string | undefined, options: VerbOptions) => operate(context, purchase, resolution(options), options));
}

function filtered(command: Command): Command {
  return command
    .option('--state <states>', `only in these states, separated by commas: ${STATES.join(', ')}`, listOption(STATES))
    .option('--user <user>', 'only of this seller', uuidArgument)
    .option('--older-than <seconds>', 'only those that were started longer ago', integerOption(0, 1_000_000_000))
    .option('--limit <n>', 'most sales, oldest first', integerOption(1, MOST), 100);
}

function resolution({ applied, notApplied, operation }: VerbOptions): Purchase.SagaVerb {
  if ((applied === true) === (notApplied === true)) throw new BrxError('BRX_USAGE', 'resolve needs either --applied or --not-applied', { remedy: '`brx-sync saga show` tells what was seen on CardTrader' });
  return { verb: 'resolve', applied: applied === true, ...(operation !== undefined && operation.length > 0 && { operations: operation }) };
}

const filterOf = ({ state, user, olderThan, limit }: FilterOptions, otherwise: readonly (typeof STATES)[number][]): Purchase.SagaFilter => ({
  states: (state ?? otherwise).map((each) => each.toUpperCase() as Purchase.State),
  ...(user !== undefined && { userId: user }),
  ...(olderThan !== undefined && { startedBefore: systemClock.now() - olderThan * 1_000 }),
  limit,
});

const OPEN = STATES.slice(0, 5);

async function list(context: CliContext, options: FilterOptions): Promise<void> {
  const { out } = context;
  const { selectSagas } = await import('../purchase/index.ts');
  const sagas = await withPostgres(context, ({ prisma }) => selectSagas(prisma, filterOf(options, OPEN)));
  out.json(sagas);
  if (sagas.length === 0) return out.line(options.state === undefined ? 'no sale is under way' : 'there is none');
  const now = systemClock.now();
  out.table(
    sagas.map((saga) => ({
      purchase: saga.purchaseId,
      user: saga.userId,
      state: saga.state,
      reason: saga.reason ?? saga.stuck ?? '',
      lines: saga.lines.length,
      started: ago(now, saga.startedAt),
      step: ago(now, saga.updatedAt),
      next: saga.nextActionAt === null ? '' : saga.nextActionAt.getTime() <= now ? 'due' : `in ${formatSeconds((saga.nextActionAt.getTime() - now) / 1_000)}`,
    })),
    [{ key: 'purchase' }, { key: 'user' }, { key: 'state' }, { key: 'reason' }, { key: 'lines', align: 'right' }, { key: 'started' }, { key: 'step', title: 'last step' }, { key: 'next', title: 'next look' }],
  );
  if (sagas.length === options.limit) out.line(`... and perhaps more: --limit ${Math.min(MOST, options.limit * 10)}`);
}

async function show(context: CliContext, purchaseId: string, userId: string | undefined): Promise<void> {
  const { out } = context;
  const { advice, operationWords, readStory, standing, timeline } = await import('../purchase/index.ts');
  const stories = await withPostgres(context, (postgres) => readStory(postgres.prisma, purchaseId, userId));
  out.json(stories.map((story) => ({ ...story, timeline: timeline(story) })));
  if (stories.length === 0) {
    out.line(`There is no purchase ${purchaseId}${userId === undefined ? '' : ` of user ${userId}`}: no PurchaseRequested of this id has taken effect.`);
    out.line('If its producer has sent one: brx-sync lag, brx-sync dlq list, brx-sync parked list');
    return;
  }
  for (const story of stories) {
    const { saga, operations } = story;
    out.line(out.paint('bold', `purchase ${saga.purchaseId} of user ${saga.userId}: ${saga.state}`));
    out.line(standing(story, systemClock.now()));
    out.line(`requested by event ${saga.eventId}${saga.buyerId === null ? '' : `, buyer ${saga.buyerId}`}; ${saga.lines.map((line) => `${line.quantity} × ${line.item_id} at ${(line.unit_price_cents / 100).toFixed(2)} ${saga.currency}`).join(', ')}`);
    const trace = storedTrace(saga.traceparent);
    if (trace !== undefined) out.line(`trace ${trace.traceId}${trace.sampled ? '' : ' (its producer does not record it)'}`);
    if (saga.cancelled && saga.state !== 'COMPENSATED') out.line(out.paint('yellow', 'a cancellation waits'));
    if (operations.length > 0) {
      out.line();
      out.line(out.paint('bold', 'on CardTrader'));
      for (const operation of operations) out.line(`  ${operationWords(operation)}  ${out.paint('dim', operation.id)}`);
    }
    out.line();
    out.line(out.paint('bold', `what happened (UTC, started ${formatTime(saga.startedAt)})`));
    for (const { at, text, detail } of timeline(story)) out.line(`  ${new Date(at).toISOString().slice(11, 23)}  ${`+${((at - saga.startedAt.getTime()) / 1_000).toFixed(3)} s`.padStart(11)}  ${detail ? out.paint('dim', `  ${text}`) : text}`);
    for (const [index, line] of advice(saga).entries()) out.line(index === 0 ? `\nwhat can be done\n  ${line}` : `  ${line}`);
    out.line();
  }
}

async function operate(context: CliContext, purchaseId: string | undefined, verb: Purchase.SagaVerb, options: VerbOptions): Promise<void> {
  const { out } = context;
  const single = purchaseId !== undefined;
  if (single && (options.state !== undefined || options.olderThan !== undefined)) throw new BrxError('BRX_USAGE', `${verb.verb} takes either a purchase or options that name several, not both`);
  if (!single && options.state === undefined) throw new BrxError('BRX_USAGE', `${verb.verb} needs a purchase, or --state`, { remedy: '`brx-sync saga list` shows which sales there are' });
  const results = await withSagas(context, async (deps, purchase) => {
    const targets = single ? await purchase.selectSaga(deps.postgres.prisma, purchaseId, options.user) : await purchase.selectSagas(deps.postgres.prisma, filterOf(options, []));
    refuse(targets, purchaseId, verb, options);
    const done: { purchaseId: string; userId: string; before: string; after: string; error: string | null }[] = [];
    for (const { userId, purchaseId: id, state } of targets) {
      context.signal.throwIfAborted();
      if (targets.length > 1) out.progress(`${formatCount(done.length)} of ${formatCount(targets.length)}`);
      try {
        const { before, after } = await purchase.operateSaga(deps, { userId, purchaseId: id }, verb, { who: operator(), reason: options.reason });
        done.push({ purchaseId: id, userId, before, after, error: null });
      } catch (error) {
        // One that does not fit harms no other; alone it is the command's own failure.
        if (single || !(error instanceof BrxError && error.code === 'BRX_REFUSED')) throw error;
        done.push({ purchaseId: id, userId, before: state, after: state, error: error.message });
      }
    }
    return done;
  });
  out.json(results);
  for (const { purchaseId: id, before, after, error } of results) out.line(error === null ? `${id}: ${before === after ? `${after}, as before` : `${before} → ${after}`}` : `${id}: refused: ${error}`);
  const failed = results.filter(({ error }) => error !== null).length;
  if (results.length > 1) out.line(`${formatCount(results.length - failed)} done, ${formatCount(failed)} refused`);
  if (single) out.note(`\`brx-sync saga show ${purchaseId}\` tells how it goes on`);
  if (failed > 0) context.setExitCode(1);
}

function refuse(targets: readonly Purchase.SagaRow[], purchaseId: string | undefined, { verb }: Purchase.SagaVerb, { yes }: VerbOptions): void {
  if (targets.length === 0) throw new BrxError('BRX_REFUSED', purchaseId === undefined ? 'no sale is like that' : `there is no purchase ${purchaseId}`, { remedy: '`brx-sync saga list` shows which there are' });
  if (purchaseId !== undefined && targets.length > 1) throw new BrxError('BRX_REFUSED', `${targets.length} sellers have a purchase ${purchaseId}`, { remedy: `say which: --user ${targets.map(({ userId }) => userId).join(' or --user ')}` });
  if (purchaseId === undefined && yes !== true) {
    const some = targets.slice(0, 5).map(({ purchaseId: id, state }) => `  ${id} ${state}`);
    throw new BrxError('BRX_REFUSED', `nothing was done: this would ${verb} ${counted(targets.length, 'sale')}\n${some.join('\n')}${targets.length > 5 ? `\n  and ${formatCount(targets.length - 5)} more` : ''}`, { remedy: 'add --yes if that is what you want' });
  }
}

/** What a verb needs: the database, and the registry to write the records that follow from it. */
function withSagas<Result>(context: CliContext, use: (deps: Purchase.AdvanceDeps, purchase: typeof Purchase) => Promise<Result>): Promise<Result> {
  return withPostgres(context, async (postgres) => {
    const config = context.config();
    const [purchase, { createRegistry }] = [await import('../purchase/index.ts'), await import('../platform/kafka/index.ts')];
    const sagas = purchase.createPurchaseContext(createRegistry(config.registry), { topicPrefix: config.kafka.topicPrefix, holdMs: config.purchase.holdMs });
    return use({ postgres, clock: systemClock, purchase: sagas, onRetry: () => undefined }, purchase);
  });
}

const ago = (now: number, then: Date): string => `${formatSeconds(Math.max(0, now - then.getTime()) / 1_000)} ago`;
