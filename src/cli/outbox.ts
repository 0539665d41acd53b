import { InvalidArgumentError, type Command } from 'commander';
import { BrxError } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { withPostgres } from './connections.ts';
import { examples, type CliContext } from './context.ts';
import { operator } from './operator.ts';
import { counted, formatCount, formatSeconds } from './output.ts';

/** `brx-sync outbox list | retry | skip`. */
export function registerOutbox(program: Command, context: CliContext): void {
  const outbox = program
    .command('outbox')
    .description('records on their way to Kafka: what waits, and what Kafka refuses')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync outbox list', 'what waits, by topic, and the rows Kafka refuses'],
        ['brx-sync outbox retry 4711 --reason "max.message.bytes raised"', 'have a refused row tried again'],
        ['brx-sync outbox retry --all --reason "max.message.bytes raised"', 'the same for every refused row'],
        ['brx-sync outbox skip 4711 --reason "too large, told by mail" --yes', 'give it up: it is never published'],
      ])}\n\nBehind a refused row everything of its user waits, in order; everyone else flows.`,
    );
  outbox
    .command('list')
    .description('what is not published yet, and what is blocked')
    .action(() => list(context));
  outbox
    .command('retry')
    .description('have Kafka asked again for a row it refused')
    .argument('[id]', 'id of the row', rowId)
    .option('--all', 'every refused row')
    .requiredOption('--reason <text>', 'why, for the record')
    .action((id: bigint | undefined, options: { reason: string; all?: true }) => retry(context, id, options));
  outbox
    .command('skip')
    .description('give a refused row up; what waits behind it flows')
    .argument('<id>', 'id of the row', rowId)
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--yes', 'really do it')
    .action((id: bigint, options: { reason: string; yes?: true }) => skip(context, id, options));
}

function rowId(text: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('It must be the id of an outbox row, as `brx-sync outbox list` shows it.');
  return BigInt(text);
}

async function list(context: CliContext): Promise<void> {
  const { out } = context;
  const { listBlocked, readOutboxStats, RELAY_SHARDS } = await import('../outbox/index.ts');
  const { stats, blocked } = await withPostgres(context, async (postgres) => ({ stats: await readOutboxStats(postgres.prisma, RELAY_SHARDS), blocked: await listBlocked(postgres) }));
  const pending = [...stats.pending].map(([topic, rows]) => ({ topic, rows }));
  out.json({ pending, oldestSeconds: stats.oldestSeconds, blocked });
  if (pending.length === 0) out.line('everything is published');
  else {
    out.table(pending);
    out.line(`the oldest that could be published is ${formatSeconds(stats.oldestSeconds)} old`);
  }
  if (blocked.length === 0) return;
  out.line();
  out.table(
    blocked.map((row) => ({
      id: row.id,
      topic: row.topic,
      user: row.userId,
      waiting: formatCount(row.waiting),
      bytes: row.bytes === null ? '' : formatCount(row.bytes),
      blocked: `${formatSeconds((systemClock.now() - row.blockedAt.getTime()) / 1_000)} ago`,
      attempts: row.attempts,
      error: row.error.split('\n')[0]?.slice(0, 120),
    })),
    [{ key: 'id' }, { key: 'topic' }, { key: 'user' }, { key: 'waiting', title: 'waiting', align: 'right' }, { key: 'bytes', align: 'right' }, { key: 'blocked' }, { key: 'attempts' }, { key: 'error' }],
  );
}

async function retry(context: CliContext, id: bigint | undefined, { reason, all }: { reason: string; all?: true }): Promise<void> {
  if ((all === true) === (id !== undefined)) throw new BrxError('BRX_USAGE', 'retry takes either one row or --all', { remedy: '`brx-sync outbox list` shows what is blocked' });
  const { listBlocked, retryBlocked } = await import('../outbox/index.ts');
  const by = { who: operator(), reason };
  const rows = await withPostgres(context, async (postgres) => {
    const ids = id === undefined ? (await listBlocked(postgres)).map((row) => row.id) : [id];
    const retried = [];
    for (const one of ids) {
      context.signal.throwIfAborted();
      retried.push(await retryBlocked(postgres, one, by));
    }
    return retried;
  });
  context.out.json(rows.map((row) => ({ id: row.id, retried: true, waiting: row.waiting })));
  if (rows.length === 0) return context.out.line('nothing is blocked');
  for (const row of rows) context.out.line(`row ${row.id} is tried again, ${counted(row.waiting, 'waits', 'wait')} behind it`);
  context.out.note('`brx-sync outbox list` shows whether Kafka took it');
}

async function skip(context: CliContext, id: bigint, options: { reason: string; yes?: true }): Promise<void> {
  const { listBlocked, skipBlocked } = await import('../outbox/index.ts');
  const row = await withPostgres(context, async (postgres) => {
    const blocked = (await listBlocked(postgres)).find((one) => one.id === id);
    if (blocked !== undefined && options.yes !== true) {
      throw new BrxError('BRX_REFUSED', `nothing was skipped: this record for ${blocked.topic ?? 'a topic'} (event ${blocked.eventId ?? 'without id'}) would never be published`, { remedy: 'add --yes if that is what you want; `brx-sync outbox retry` has Kafka asked again' });
    }
    return skipBlocked(postgres, id, { who: operator(), reason: options.reason });
  });
  context.out.json({ id, skipped: true, waiting: row.waiting });
  context.out.line(`row ${id} is given up; ${formatCount(row.waiting)} that waited behind it flow`);
}
