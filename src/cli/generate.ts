import { InvalidArgumentError, type Command } from 'commander';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TOPICS, topicName } from '../contract/index.ts';
import { BrxError, messageOf } from '../errors.ts';
import type { Expectation, GeneratedRecord, WorkloadOptions } from '../operations/generate/index.ts';
import { systemClock } from '../platform/clock.ts';
import { integerOption } from './arguments.ts';
import { examples, type CliContext } from './context.ts';
import { counted, formatCount, formatSeconds } from './output.ts';

interface Options {
  events: number;
  users?: number;
  itemsPerUser?: number;
  skew?: number;
  seed?: number;
  at?: number;
  mix?: WorkloadOptions['mix'];
  newItems?: number;
  duplicates?: number;
  stale?: number;
  poison?: number;
  negative?: number;
  versionShare?: number;
  purchases?: number;
  cancels?: number;
  out?: string;
  publish?: true;
  rate?: number;
  expect?: string;
}

/** `brx-sync generate`. */
export function registerGenerate(program: Command, context: CliContext): void {
  program
    .command('generate')
    .description('make a workload of marketplace events, into a file or straight to Kafka, and what must come of it')
    .requiredOption('--events <n>', 'how many', integerOption(0, 1_000_000_000))
    .option('--users <n>', 'sellers (default 1000)', integerOption(1, 10_000_000))
    .option('--items-per-user <n>', 'most items of a seller (default 500)', integerOption(1, 1_000_000))
    .option('--skew <s>', 'Zipf exponent of events over users: 0 uniform, 0.99 stress (default 0.7)', numberOption(0, 5))
    .option('--seed <n>', 'another seed, other events; the same seed and --at, the same bytes (default 1)', integerOption(0, Number.MAX_SAFE_INTEGER))
    .option('--at <time>', 'time of the last event, ISO 8601 (default: now)', timeOption)
    .option('--mix <set,adjust,remove>', 'what happens to known items, relative to each other (default 48,45,7)', mixOption)
    .option('--new-items <share>', 'first listings (default 0.15)', numberOption(0, 1))
    .option('--duplicates <share>', 'events sent again, one in five stamped anew (default 0.05)', numberOption(0, 1))
    .option('--stale <share>', 'events with a version already used (default 0.02)', numberOption(0, 1))
    .option('--poison <share>', 'records of every kind that cannot be used (default 0.001)', numberOption(0, 1))
    .option('--negative <share>', 'adjustments below zero (default 0.002)', numberOption(0, 1))
    .option('--version-share <share>', 'users whose producer sends versions (default 0.5)', numberOption(0, 1))
    .option('--purchases <share>', 'purchases of one to three items, some for more than there is, some sent again (default 0)', numberOption(0, 1))
    .option('--cancels <share>', 'of the purchases: called off later, some before they come or for a purchase that never comes (default 0)', numberOption(0, 1))
    .option('--out <file>', 'write the lines `brx-sync produce` takes (with --allow-raw, for the poison); - for stdout')
    .option('--publish', 'send to Kafka')
    .option('--rate <n>', 'with --publish: so many a second, on a fixed schedule', integerOption(1, 10_000_000))
    .option('--expect <file>', 'also write what the result must be: every item, counts by outcome (without purchases)')
    .addHelpText(
      'after',
      `${examples([
        ['brx-sync generate --events 1000 --out events.ndjson --expect expected.json', 'to look at, or to produce later'],
        ['brx-sync generate --events 200000 --publish', 'a realistic load, as fast as Kafka takes it'],
        ['brx-sync generate --events 60000 --publish --rate 1000 --skew 0.99', 'a minute of stress on a few users'],
        ['brx-sync generate --events 20000 --publish --purchases 0.1 --cancels 0.2', 'one event in ten is a sale'],
      ])}\n\nShares are of all events, 0 to 1. Afterwards: brx-sync verify --wait 60, with purchases --settled as well`,
    )
    .action((options: Options) => run(context, options));
}

async function run(context: CliContext, options: Options): Promise<void> {
  const { out } = context;
  if ((options.out === undefined) === (options.publish === undefined)) throw new BrxError('BRX_USAGE', 'generate needs either --out <file> or --publish', { remedy: 'brx-sync help generate shows examples' });
  if (options.rate !== undefined && options.publish === undefined) throw new BrxError('BRX_USAGE', '--rate needs --publish');
  if (options.expect !== undefined && (options.purchases ?? 0) > 0) throw new BrxError('BRX_USAGE', '--expect cannot tell what must come of purchases: it depends on when the sales before them end', { remedy: 'leave --expect out, and run `brx-sync verify --settled --wait 60` afterwards' });
  const { createExpectation, expectationText, generateEvents, workloadOptions } = await import('../operations/generate/index.ts');
  const workload = workloadOptions({ ...given(options), at: options.at ?? systemClock.now() });
  const expectation = options.expect === undefined ? undefined : createExpectation(workload);
  const records = generateEvents(workload);
  const onRecord = (record: GeneratedRecord): void => expectation?.add(record);

  const done = options.out === undefined ? await publish(context, records, onRecord, options.rate) : await writeLines(context, records, onRecord, options.out);
  let settled: Expectation | undefined;
  if (expectation !== undefined && options.expect !== undefined) {
    settled = expectation.settle();
    await writeFile(options.expect, expectationText(workload, settled));
  }
  // With --out - the lines own stdout.
  const say = (text: string): void => (options.out === '-' ? out.note(text) : out.line(text));
  if (options.out !== '-') out.json({ ...done, workload, counts: settled?.counts ?? null });
  say(`${done.target}: ${counted(done.records, 'record')} in ${formatSeconds(done.seconds)}${done.seconds > 0 ? `, ${formatCount(Math.round(done.records / done.seconds))} a second` : ''}`);
  say(`the same again: --seed ${workload.seed} --at ${new Date(workload.at).toISOString()}`);
  if (settled !== undefined) say(`${options.expect ?? ''}: what must come of it: ${countsText(settled.counts)}`);
}

interface Done {
  target: string;
  records: number;
  seconds: number;
}

async function publish(context: CliContext, records: Iterable<GeneratedRecord>, onRecord: (record: GeneratedRecord) => void, rate: number | undefined): Promise<Done> {
  const { out, signal, logger } = context;
  const config = context.config();
  const [{ publishWorkload, schemaIds }, { COMMAND_RETRIES, createKafka, createProducer, createRegistry, openTopicAdmin }] = [await import('../operations/generate/index.ts'), await import('../platform/kafka/index.ts')];
  const kafka = createKafka(config.kafka, logger, { retries: COMMAND_RETRIES });
  const topic = topicName(config.kafka.topicPrefix, TOPICS.marketplaceEvents);
  const admin = await openTopicAdmin(kafka);
  try {
    if (!(await admin.describe([topic])).has(topic)) throw new BrxError('BRX_REFUSED', `topic ${topic} does not exist`, { remedy: 'run `brx-sync topics apply`, or set BRX_TOPIC_PREFIX' });
  } finally {
    await admin.close();
  }
  const ids = await schemaIds(createRegistry(config.registry));
  const producer = createProducer(kafka);
  try {
    const { published, elapsedMs } = await publishWorkload(records, {
      producer,
      topic,
      schemaIds: ids,
      clock: systemClock,
      signal,
      onRecord,
      onProgress: (progress) => out.progress(`published ${formatCount(progress.published)}, ${formatCount(Math.round(progress.rate))} a second`),
      ...(rate !== undefined && { rate }),
    });
    return { target: topic, records: published, seconds: elapsedMs / 1_000 };
  } finally {
    await producer.disconnect();
  }
}

async function writeLines(context: CliContext, records: Iterable<GeneratedRecord>, onRecord: (record: GeneratedRecord) => void, file: string): Promise<Done> {
  const { toLine } = await import('../operations/generate/index.ts');
  const start = systemClock.monotonic();
  let count = 0;
  function* lines(): Generator<string> {
    for (const record of records) {
      context.signal.throwIfAborted();
      onRecord(record);
      count += 1;
      yield `${toLine(record)}\n`;
    }
  }
  await writeFile(file, lines());
  return { target: file === '-' ? 'stdout' : file, records: count, seconds: (systemClock.monotonic() - start) / 1_000 };
}

/** Piece by piece, as fast as the file takes it. */
async function writeFile(file: string, texts: Iterable<string>): Promise<void> {
  try {
    if (file === '-') await pipeline(Readable.from(pieces(texts)), process.stdout, { end: false });
    else await pipeline(Readable.from(pieces(texts)), createWriteStream(file));
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw new BrxError('BRX_USAGE', `${file} cannot be written: ${messageOf(error)}`, { cause: error });
    throw error;
  }
}

const PIECE = 65_536;

function* pieces(texts: Iterable<string>): Generator<string> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

/** The options of the workload that were said; the others keep their defaults. */
function given({ events, users, itemsPerUser, skew, seed, mix, newItems, duplicates, stale, poison, negative, versionShare, purchases, cancels, rate }: Options): Partial<WorkloadOptions> {
  const said = { users, itemsPerUser, skew, seed, mix, newItems, duplicates, stale, poison, negative, versioned: versionShare, purchases, cancels, intervalMs: rate === undefined ? undefined : 1_000 / rate };
  return { events, ...(Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as Partial<WorkloadOptions>) };
}

function countsText({ applied, stale, duplicate, dead_letters }: Expectation['counts']): string {
  const dead = Object.values(dead_letters).reduce((sum, count) => sum + count, 0);
  return `${formatCount(applied)} applied, ${formatCount(stale)} stale, ${formatCount(duplicate)} duplicates, ${formatCount(dead)} dead letters`;
}

function numberOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
    return value;
  };
}

function timeOption(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError('It must be a time like 2026-11-23T21:00:00Z.');
  return time;
}

function mixOption(text: string): WorkloadOptions['mix'] {
  const [set, adjust, remove, ...more] = text.split(',').map(Number);
  const ok = (share: number | undefined): share is number => share !== undefined && share >= 0 && Number.isFinite(share);
  if (!ok(set) || !ok(adjust) || !ok(remove) || more.length > 0) throw new InvalidArgumentError('It must be three numbers, for example 48,45,7.');
  return { set, adjust, remove };
}
