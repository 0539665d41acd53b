import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type * as CatalogueFeature from '../catalogue/index.ts';
import { BrxError, messageOf } from '../errors.ts';
import { systemClock } from '../platform/clock.ts';
import { blueprintArguments, integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount, formatSeconds } from './output.ts';

/** `brx-sync catalogue lookup | warm | invalidate | seed`. */
export function registerCatalogue(program: Command, context: CliContext): void {
  const catalogue = program
    .command('catalogue')
    .description('which print of our catalogue (MySQL) a CardTrader blueprint is')
    .addHelpText(
      'after',
      examples([
        ['brx-sync catalogue seed', 'tables and 200,000 made-up prints on the local MySQL'],
        ['brx-sync catalogue lookup 10000 10001', 'which prints are these?'],
        ['brx-sync catalogue warm --all', 'everything into Redis, before a large sync'],
        ['brx-sync catalogue invalidate 10000', 'after a print was given another blueprint'],
      ]),
    );
  catalogue
    .command('lookup')
    .description('the print of each blueprint, and where the answer was')
    .argument('<id...>', 'CardTrader blueprint ids', blueprintArguments)
    .addHelpText('after', '\nA blueprint the catalogue does not have, or has more than once, is an answer, not an error.')
    .action((ids: number[]) => lookup(context, ids));
  catalogue
    .command('warm')
    .description('read mappings anew from MySQL into Redis')
    .argument('[id...]', 'CardTrader blueprint ids', blueprintArguments)
    .option('--file <file>', 'ids from a file, one a line; - is standard input')
    .option('--all', 'every blueprint the catalogue names')
    .action((ids: number[], options: Chosen) => warm(context, ids, options));
  catalogue
    .command('invalidate')
    .description('forget mappings, in Redis and, within ten seconds, in every process')
    .argument('[id...]', 'CardTrader blueprint ids', blueprintArguments)
    .option('--all', 'every mapping')
    .addHelpText('after', '\nOnce the replicas of MySQL have the change: a look-up that reads the old row from one that lags would keep it.')
    .action((ids: number[], options: { all?: true }) => invalidate(context, ids, options.all === true));
  catalogue
    .command('seed')
    .description('make the four tables and fill them with made-up prints, for local use')
    .option('--rows <n>', 'how many prints', integerOption(1, 20_000_000), 200_000)
    .option('--seed <n>', 'another seed: other tables and gaps', integerOption(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--not-local', 'also on a MySQL that is not on this machine')
    .addHelpText('after', '\nReplaces what it wrote before. Refuses tables with rows it did not write, and a server elsewhere unless told.\nBlueprint ids begin at 10000, like those of `brx-sync simulator`.')
    .action((options: SeedFlags) => seed(context, options));
}

interface Chosen {
  file?: string;
  all?: true;
}

interface SeedFlags {
  rows: number;
  seed: number;
  notLocal?: true;
}

async function lookup(context: CliContext, ids: number[]): Promise<void> {
  const { out } = context;
  await withCatalogue(context, async ({ catalogue, redis }, { mappingText, printText }) => {
    if (redis !== undefined && !(await answers(context, redis))) out.note('Redis does not answer; asking MySQL directly');
    const found = await catalogue.find(new Set(ids));
    const rows = [...new Set(ids)].flatMap((id) => {
      const one = found.get(id);
      return one === undefined ? [] : [{ id, ...one }];
    });
    out.json(rows.map(({ id, mapping, source }) => ({ blueprintId: id, ...mapping, source })));
    out.table(
      rows.map(({ id, mapping, source }) => ({
        blueprint: id,
        print: mapping.kind === 'print' ? printText(mapping.print) : mapping.kind === 'unknown' ? 'unknown' : `ambiguous: ${mappingText(mapping)}`,
        from: source,
      })),
    );
    if (rows.some(({ mapping }) => mapping.kind === 'ambiguous')) out.note('ambiguous: the catalogue gives the blueprint to more than one print; correct it there, then `brx-sync catalogue invalidate`');
  });
}

async function warm(context: CliContext, ids: readonly number[], { file, all }: Chosen): Promise<void> {
  if ([ids.length > 0, file !== undefined, all === true].filter(Boolean).length !== 1) throw new BrxError('BRX_USAGE', 'warm takes either ids, --file or --all', { remedy: 'brx-sync help catalogue has examples' });
  const { out, signal } = context;
  const begun = systemClock.monotonic();
  await withCatalogue(context, async (open, feature) => {
    await requireRedis(context, open);
    const onProgress = (done: number, total: number | undefined): void => out.progress(total === undefined ? counted(done, 'blueprint') : `${formatCount(done)} of ${counted(total, 'blueprint')}`);
    const options = { signal, onProgress };
    const counts = all === true ? await feature.warmAll(open.catalogue, open.mysql, options) : await feature.warm(open.catalogue, file === undefined ? ids : idsOf(file, feature), options, file === undefined ? ids.length : undefined);
    await requireRedis(context, open); // went away meanwhile: not everything is there
    const seconds = (systemClock.monotonic() - begun) / 1_000;
    out.json({ ...counts, seconds });
    out.line(`${counted(counts.print + counts.unknown + counts.ambiguous, 'blueprint')} in Redis after ${formatSeconds(seconds)}: ${counted(counts.print, 'print')}, ${formatCount(counts.unknown)} unknown, ${formatCount(counts.ambiguous)} ambiguous`);
  });
}

async function invalidate(context: CliContext, ids: readonly number[], all: boolean): Promise<void> {
  if (all === ids.length > 0) throw new BrxError('BRX_USAGE', 'invalidate takes either ids or --all', { remedy: 'brx-sync catalogue invalidate 10000, or --all' });
  await withCatalogue(context, async (open) => {
    await requireRedis(context, open);
    const gone = await open.catalogue.invalidate(all ? 'all' : ids);
    context.out.json({ invalidated: all ? 'all' : ids, inRedis: gone });
    context.out.line(`${formatCount(gone)} taken out of Redis; every process asks anew within ten seconds`);
  });
}

async function seed(context: CliContext, { rows, seed: number, notLocal }: SeedFlags): Promise<void> {
  const { out, signal } = context;
  const begun = systemClock.monotonic();
  await withCatalogue(context, async (open, { seedCatalogue }) => {
    const onProgress = (done: number): void => out.progress(`${formatCount(done)} of ${counted(rows, 'print')}`);
    const written = await seedCatalogue(open.mysql, { rows, seed: number, evenIfNotLocal: notLocal === true, signal, onProgress });
    const seconds = (systemClock.monotonic() - begun) / 1_000;
    const forgotten = open.redis !== undefined && (await answers(context, open.redis)) ? await open.catalogue.invalidate('all') : null;
    out.json({ tables: written, seed: number, seconds, forgotten });
    out.table(Object.entries(written).map(([table, count]) => ({ table, rows: formatCount(count) })), [{ key: 'table' }, { key: 'rows', align: 'right' }]);
    out.line(`${counted(rows, 'print')} in MySQL ${open.mysql.title} after ${formatSeconds(seconds)}; the same again: --rows ${rows} --seed ${number}`);
    if (forgotten === null) out.note('Redis was not told: mappings of an earlier catalogue may be in it (`brx-sync catalogue invalidate --all`)');
  });
}

async function withCatalogue<Result>(context: CliContext, use: (open: CatalogueFeature.OpenCatalogue, feature: typeof CatalogueFeature) => Promise<Result>): Promise<Result> {
  const config = context.config();
  const feature = await import('../catalogue/index.ts');
  const open = feature.openCatalogue(config, { logger: context.logger, clock: systemClock });
  try {
    return await use(open, feature);
  } finally {
    await open.close();
  }
}

type OpenRedis = NonNullable<CatalogueFeature.OpenCatalogue['redis']>;

/** True once the connection is made; false if it cannot be. */
async function answers(context: CliContext, redis: OpenRedis): Promise<boolean> {
  if (redis.state === 'connecting') {
    const decided = new AbortController();
    const forget = redis.onState(() => decided.abort());
    await systemClock.sleep(context.config().redis.commandTimeoutMs, decided.signal).catch(() => undefined);
    forget();
  }
  return redis.state === 'ready';
}

async function requireRedis(context: CliContext, { redis }: CatalogueFeature.OpenCatalogue): Promise<void> {
  if (redis === undefined) throw new BrxError('BRX_CONFIG', 'BRX_REDIS_URL is not set, so there is nothing to warm or to invalidate', { remedy: 'set it; without Redis each process has its memory only, which forgets by itself' });
  if (!(await answers(context, redis))) throw new BrxError('BRX_REDIS_UNAVAILABLE', 'Redis does not answer', { remedy: 'see that Redis runs and that BRX_REDIS_URL is right' });
  await redis.ping();
}

/** Ids of a file, as they are read; throws BRX_BAD_FILE with the line that is none. */
async function* idsOf(file: string, { isBlueprintId }: typeof CatalogueFeature): AsyncGenerator<number> {
  let number = 0;
  try {
    for await (const line of createInterface({ input: file === '-' ? process.stdin : createReadStream(file) })) {
      number += 1;
      const text = line.trim();
      if (text === '') continue;
      if (!/^\d+$/.test(text) || !isBlueprintId(Number(text))) throw new BrxError('BRX_BAD_FILE', `${file}, line ${number}: "${text.slice(0, 40)}" is no blueprint id`, { remedy: 'one id a line, a whole number above 0' });
      yield Number(text);
    }
  } catch (error) {
    throw error instanceof BrxError ? error : new BrxError('BRX_BAD_FILE', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
